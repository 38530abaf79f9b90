"""The Web API adapter against the simulator's Web API: what the broker-port suite does not ask of both adapters."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from ibind import IbkrClient

from services.gateway.adapters.web import questions
from services.gateway.adapters.web.broker import WebBroker
from services.gateway.adapters.web.limits import REQUESTS_PER_SECOND
from services.gateway.budget import Budget
from services.gateway.config import Settings
from services.gateway.ports import BrokerLost, LoginAwaited, RequestRefused, Unsupported
from services.simulator.app import Simulator
from services.simulator.config import Settings as SimulatorSettings
from services.simulator.core.catalogue import stock
from services.simulator.entitlement import Access
from services.simulator.faults.effects import Cut, HalfOpen, Link, MarketDataAccess
from services.simulator.web.portal import Portal
from shared.clock import MessageClock
from shared.messages.base import Message
from shared.messages.broker import (
    BrokerErrorReported,
    CommissionReported,
    ErrorEffect,
    ExecutionReported,
    OrderReported,
)
from shared.messages.broker_commands import ModifyOrder, OrderTerms, bracket
from shared.messages.market_requests import Feed
from shared.types import Mode, OrderStatus, OrderType, QuoteQuality, Side, TimeInForce
from tests.integration.gateway.desk import OPEN, Desk, order, until

ACCOUNT = "DU1000001"
MARKET: dict[str, Any] = {
    "port": 0,
    "web_port": 0,
    "market": "synthetic",
    "symbols": ("AAPL", "IBM"),
    "etfs": (),
    "start": date(2010, 1, 4),
    "end": date(2010, 1, 8),
    "warmup_days": 10,
    "messages_per_second": 0,
}


class Heard:
    """Implements `ports.Listener`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def heard(self, message: Message) -> None:
        self.messages.append(message)

    def quotes_changed(self) -> None: ...

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    def last(self, order_ref: str) -> OrderReported | None:
        return next((one for one in reversed(self.of(OrderReported)) if one.order_ref == order_ref), None)

    def codes(self) -> list[int]:
        return [one.code for one in self.of(BrokerErrorReported)]


class Front:
    """A simulator with its Web API, and one broker adapter in front of it."""

    def __init__(self, simulator: Simulator, **settings: Any) -> None:
        self.simulator = simulator
        given = {"web_url": f"http://127.0.0.1:{simulator.web_port}", "requests_per_second": 0, **settings}
        self.heard = Heard()
        self.broker = WebBroker(
            Settings(**given),
            Mode.SIMULATED,
            MessageClock(),
            Budget(given["requests_per_second"], lambda: None),
        )

    def last_price(self) -> Decimal:
        quote = self.simulator.engine.market.quote(stock("AAPL").contract_id, self.simulator.engine.now)
        assert quote is not None
        return quote.last

    async def submit(self, *orders: OrderTerms) -> None:
        await self.broker.orders.submit(orders, {order.order_ref: 1 for order in orders}, ACCOUNT)
        await self.broker.current_time()

    async def status(self, order_ref: str, *wanted: OrderStatus) -> OrderReported:
        def reached() -> bool:
            last = self.heard.last(order_ref)
            return last is not None and last.status in wanted

        await until(reached)
        last = self.heard.last(order_ref)
        assert last is not None
        return last

    async def log_out(self) -> None:
        """Somebody logs out."""
        url = f"http://127.0.0.1:{self.simulator.web_port}/v1/api/"
        client = IbkrClient(url=url, max_retries=0, auto_register_shutdown=False, use_oauth=False)
        await asyncio.to_thread(client.logout)
        client.close()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator(SimulatorSettings(**MARKET), None)
    simulator.broker.advance(OPEN)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(simulator.serving())
        yield simulator


@pytest.fixture
async def front(simulator: Simulator) -> AsyncIterator[Front]:
    front = Front(simulator)
    await front.broker.connect(front.heard)
    yield front
    front.broker.disconnect()


def terms(order_ref: str = "a", kind: OrderType = OrderType.MARKET, **changes: Any) -> OrderTerms:
    values = {"symbol": "AAPL", "side": Side.BUY, "quantity": Decimal(100), **changes}
    return OrderTerms(order_ref=order_ref, order_type=kind, **values)


def web_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("web-")]


async def test_an_order_is_filled_and_charged_after_its_questions(front: Front) -> None:
    await front.submit(terms())
    filled = await front.status("a", OrderStatus.FILLED)
    (fill,) = front.heard.of(ExecutionReported)
    assert (fill.order_ref, fill.quantity, fill.perm_id) == ("a", Decimal(100), filled.broker_order_id)
    await until(lambda: [one.execution_id for one in front.heard.of(CommissionReported)] == [fill.execution_id])
    (question,) = [one for one in front.heard.of(BrokerErrorReported) if one.code == 10151]
    assert question.effect is ErrorEffect.WARNING
    assert "confirmed: the risks of market orders are known" in question.text
    assert [entry.order_ref for entry in front.simulator.engine.received if entry.what == "place"] == ["a"]


async def test_several_questions_about_one_order_are_answered_in_a_row(front: Front) -> None:
    far = front.last_price() * 2
    await front.submit(
        terms(kind=OrderType.STOP_LIMIT, trigger_price=far.quantize(Decimal(1)), limit_price=far.quantize(Decimal(1)))
    )
    await front.status("a", OrderStatus.SUBMITTED)
    assert {10331, 163} <= set(front.heard.codes())


async def test_a_question_that_is_not_known_is_declined_and_the_order_is_not_placed(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {name: reply for name, reply in questions.REPLIES.items() if name != "o10151"}
    monkeypatch.setattr(questions, "REPLIES", MappingProxyType(known))
    await front.submit(terms())
    refused = await front.status("a", OrderStatus.REJECTED)
    assert refused.reason is not None
    assert "question o10151 is not known here" in refused.reason
    assert "A Market Order is an instruction" in refused.reason
    assert [entry for entry in front.simulator.engine.received if entry.what == "place"] == []


async def test_an_order_that_is_sent_again_is_refused_and_not_doubled(front: Front) -> None:
    await front.submit(terms())
    await front.status("a", OrderStatus.FILLED)
    await front.submit(terms())
    places = [entry for entry in front.simulator.engine.received if entry.what == "place"]
    assert len(places) == 1
    known = front.broker.orders.known("a")
    assert known is not None
    assert known.status is OrderStatus.FILLED


async def test_an_order_that_was_sent_by_somebody_before_is_unknown_and_not_refused(simulator: Simulator) -> None:
    first, second = Front(simulator), Front(simulator)
    limit = (first.last_price() / 2).quantize(Decimal("0.01"))
    await first.broker.connect(first.heard)
    await first.submit(terms(kind=OrderType.LIMIT, limit_price=limit))
    first.broker.disconnect()
    await second.broker.connect(second.heard)
    again = asyncio.ensure_future(second.submit(terms(kind=OrderType.LIMIT, limit_price=limit)))
    await again
    told = second.heard.of(OrderReported)
    assert OrderStatus.REJECTED not in {one.status for one in told}
    snapshot = await second.broker.snapshot(ACCOUNT, None)
    assert [(one.order_ref, one.status) for one in snapshot.orders] == [("a", OrderStatus.SUBMITTED)]
    second.broker.disconnect()


async def test_children_of_a_bracket_are_known_by_the_ids_in_the_answer(front: Front) -> None:
    last = front.last_price()
    orders = bracket(
        order_id="b",
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(10),
        limit_price=(last / 2).quantize(Decimal("0.01")),
        stop_price=(last / 4).quantize(Decimal("0.01")),
        target_price=(last * 2).quantize(Decimal("0.01")),
        time_in_force=TimeInForce.DAY,
        expires_at=OPEN,
    ).orders
    await front.submit(*orders)
    for name in ("b", "b.stop", "b.target"):
        await front.status(name, OrderStatus.SUBMITTED)
    ids = {name: front.broker.orders.known(name).broker_order_id for name in ("b", "b.stop", "b.target")}  # type: ignore[union-attr]
    assert len(set(ids.values())) == 3
    front.broker.disconnect()

    later = Front(front.simulator)  # another process, which was told the ids
    later.broker.orders.recall({number: name for name, number in ids.items()})
    await later.broker.connect(later.heard)
    snapshot = await later.broker.snapshot(ACCOUNT, None)
    assert {one.order_ref: one.broker_order_id for one in snapshot.orders} == ids
    await later.broker.orders.cancel("b", 0)
    for name in ids:
        await later.status(name, OrderStatus.CANCELLED)
    later.broker.disconnect()


async def test_a_bracket_whose_answer_was_lost_is_found_again_with_its_children(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = front.last_price()
    orders = bracket(
        order_id="b",
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(10),
        limit_price=last.quantize(Decimal("0.01")) - 1,
        stop_price=(last / 4).quantize(Decimal("0.01")),
        target_price=last.quantize(Decimal("0.01")) + 1,
        time_in_force=TimeInForce.DAY,
        expires_at=OPEN,
    ).orders
    placed = IbkrClient.post

    def lost(client: IbkrClient, path: str, *arguments: Any, **options: Any) -> Any:
        answer: Any = placed(client, path, *arguments, **options)
        rows = answer.data.data
        if isinstance(rows, list) and any("order_id" in row for row in rows):
            raise TimeoutError(path)
        return answer

    monkeypatch.setattr(IbkrClient, "post", lost)  # replies to questions go through it as well
    await front.broker.orders.submit(orders, {}, ACCOUNT)
    assert front.broker.closed.is_set()
    monkeypatch.undo()
    await front.broker.connect(front.heard)
    snapshot = await front.broker.snapshot(ACCOUNT, None)
    assert {one.order_ref: one.status for one in snapshot.orders} == dict.fromkeys(
        ("b", "b.stop", "b.target"), OrderStatus.SUBMITTED
    )
    assert len([entry for entry in front.simulator.engine.received if entry.what == "place"]) == 3


async def test_an_order_of_an_earlier_process_can_be_changed(front: Front) -> None:
    low = (front.last_price() / 2).quantize(Decimal("0.01"))
    await front.submit(terms(kind=OrderType.LIMIT, limit_price=low))
    front.broker.disconnect()
    later = Front(front.simulator)
    await later.broker.connect(later.heard)
    await later.broker.snapshot(ACCOUNT, None)
    await later.broker.orders.modify(ModifyOrder(order_ref="a", limit_price=low + 1))
    await later.broker.current_time()
    changed = await later.status("a", OrderStatus.SUBMITTED)
    assert changed.limit_price == low + 1
    assert [one.request.limit_price for one in later.simulator.engine.book.live()] == [low + 1]
    later.broker.disconnect()


async def test_what_cannot_be_changed_or_cancelled_is_said(front: Front) -> None:
    with pytest.raises(RequestRefused, match="order x is not known"):
        await front.broker.orders.modify(ModifyOrder(order_ref="x", limit_price=Decimal(1)))
    await front.broker.orders.cancel("x", 5)
    (error,) = [one for one in front.heard.of(BrokerErrorReported) if one.order_ref == "x"]
    assert (error.code, error.effect) == (10147, ErrorEffect.STILL_ALIVE)
    assert front.broker.orders.known("x") is None
    with pytest.raises(Unsupported, match="order_type = REL"):
        await front.submit(terms(kind=OrderType.RELATIVE))


async def test_a_submission_that_is_cancelled_in_time_sends_nothing(front: Front) -> None:
    await front.broker.orders._exchange.turn.acquire()  # another order's questions are not answered yet
    waiting = asyncio.ensure_future(front.submit(terms()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    front.broker.orders._exchange.turn.release()
    await front.submit(terms("b"))
    await front.status("b", OrderStatus.FILLED)
    assert [entry.order_ref for entry in front.simulator.engine.received if entry.what == "place"] == ["b"]


async def test_no_thread_survives_the_connection(simulator: Simulator) -> None:
    front = Front(simulator)
    await front.broker.connect(front.heard)
    await front.broker.snapshot(ACCOUNT, None)
    assert web_threads()
    front.broker.disconnect()
    assert front.broker.closed.is_set()
    await until(lambda: not web_threads())
    with pytest.raises(BrokerLost, match="not connected"):
        await front.broker.current_time()


async def test_a_lost_stream_ends_the_connection_and_a_new_one_hears_all(front: Front) -> None:
    await front.broker.lines.open("AAPL", Feed.QUOTES)
    answered = front.broker.orders.answered("nothing")
    front.simulator.faults.fire(Cut())
    await until(front.broker.closed.is_set)
    with pytest.raises(BrokerLost):
        await answered
    assert await front.broker.connect(front.heard) == [ACCOUNT]
    assert front.broker.lines.opened() == frozenset()
    assert not front.broker.closed.is_set()
    await front.broker.lines.open("AAPL", Feed.QUOTES)
    await until(lambda: front.broker.lines.complete("AAPL"))
    await front.submit(terms())
    await front.status("a", OrderStatus.FILLED)


async def test_a_silent_stream_is_found_out_by_the_round_trip(simulator: Simulator) -> None:
    front = Front(simulator, answer_timeout_seconds=0.5)
    await front.broker.connect(front.heard)
    simulator.faults.fire(HalfOpen())
    with pytest.raises(BrokerLost):
        await front.broker.current_time()
    front.broker.disconnect()


async def test_a_login_that_was_made_anew_begins_with_a_new_connection(front: Front) -> None:
    await front.log_out()
    with pytest.raises(BrokerLost, match="logged in again"):
        await front.broker.current_time()
    assert front.broker.closed.is_set()
    assert await front.broker.connect(front.heard) == [ACCOUNT]
    await front.submit(terms())
    await front.status("a", OrderStatus.FILLED)


async def test_without_a_login_it_is_awaited(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front(simulator)
    await front.log_out()
    monkeypatch.setattr(Portal, "log_in", lambda *_, **__: None)  # nobody confirms it
    with pytest.raises(LoginAwaited, match="has no login, or can't reach IBKR: open http"):
        await front.broker.connect(front.heard)
    await until(lambda: not web_threads())


async def test_another_login_is_heard_of_and_not_pushed_out(front: Front) -> None:
    await front.broker.current_time()
    front.simulator.faults.fire(MarketDataAccess(access=Access.COMPETING))
    await front.broker.current_time()
    await front.broker.current_time()
    assert front.heard.codes() == [10197]
    assert not front.broker.closed.is_set()
    assert front.simulator.faults.world.access_of("") is Access.COMPETING
    later = Front(front.simulator)
    with pytest.raises(LoginAwaited, match="another login of this user"):
        await later.broker.connect(later.heard)


async def test_a_lost_link_is_told_once_and_its_return_too(front: Front) -> None:
    front.simulator.faults.fire(Link(up=False))
    for _ in range(3):
        await front.broker.current_time()
    assert front.heard.codes() == [1100]
    front.simulator.faults.fire(Link(up=True))
    for _ in range(3):
        await front.broker.current_time()
    assert front.heard.codes() == [1100, 1101]
    assert not front.broker.closed.is_set()


async def test_the_time_is_the_brokers_and_comes_after_what_was_said_before(front: Front) -> None:
    await front.broker.lines.open("AAPL", Feed.QUOTES)
    await front.broker.current_time()
    assert front.broker.lines.complete("AAPL")
    now = await front.broker.current_time()
    assert now == front.simulator.engine.now.replace(microsecond=0)
    front.simulator.broker.advance(OPEN.replace(minute=40))
    assert await front.broker.current_time() == OPEN.replace(minute=40)


async def test_quotes_are_those_of_the_market(front: Front) -> None:
    await front.broker.lines.open("AAPL", Feed.QUOTES)
    await until(lambda: front.broker.lines.complete("AAPL"))
    (quote,) = front.broker.lines.take_quotes(time.monotonic())
    market = front.simulator.engine.market.quote(stock("AAPL").contract_id, front.simulator.engine.now)
    assert market is not None
    assert (quote.bid, quote.ask, quote.last) == (market.bid, market.ask, market.last)
    assert (quote.bid_size, quote.quality) == (market.bid_size, QuoteQuality.LIVE)
    with pytest.raises(Unsupported, match="feed = depth"):
        await front.broker.lines.open("AAPL", Feed.DEPTH)


async def test_ibkrs_limits_are_kept_when_they_hold() -> None:
    """Tickles may come once a second and trades once in five: the simulator refuses what comes sooner."""
    strict = Simulator(SimulatorSettings(**{**MARKET, "messages_per_second": 50}), None)
    strict.broker.advance(OPEN)
    async with strict.serving():
        front = Front(strict, requests_per_second=REQUESTS_PER_SECOND)
        await front.broker.connect(front.heard)
        for _ in range(2):
            await front.broker.current_time()
        orders = front.broker.orders
        await asyncio.gather(orders.list_trades(), orders.list_trades())
        front.broker.disconnect()


async def test_the_whole_gateway_trades_over_the_web_api(desk: Desk) -> None:
    url = f"http://127.0.0.1:{desk.simulator.web_port}"
    async with desk.gateway(adapter="web", web_url=url):
        await desk.command(order(desk.simulator))

        async def filled() -> bool:
            return OrderStatus.FILLED in await desk.statuses("order-1")

        await until(filled)

        async def charged() -> bool:
            fills = {event.data.execution_id for event in await desk.events(ExecutionReported)}
            return fills != set() and fills == {
                event.data.execution_id for event in await desk.events(CommissionReported)
            }

        await until(charged)

        async def protected() -> bool:
            told = [await desk.statuses(child) for child in ("order-1.stop", "order-1.target")]
            return told == [[OrderStatus.SUBMITTED], [OrderStatus.SUBMITTED]]

        await until(protected)
    await until(lambda: not web_threads())
    assert desk.at_broker() == ["order-1", "", ""]
