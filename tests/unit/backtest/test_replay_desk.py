"""The desk says what the gateway would say of the simulated broker's answers."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.backtest.core.desk import Desk, Quotes
from services.simulator.core.assembly import stock_market
from services.simulator.core.bars import DailyBar
from services.simulator.core.commissions import Commissions
from services.simulator.core.engine import Engine
from services.simulator.core.tape import Session
from shared.messages.broker import CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import CancelOrder, ModifyOrder, SubmitOrder, bracket
from shared.types import OrderStatus, QuoteQuality, Side, TimeInForce

DAYS = [date(2010, 1, 4), date(2010, 1, 5), date(2010, 1, 6)]
MORNING = datetime(2010, 1, 5, 14, 35, tzinfo=UTC)


@pytest.fixture
def desk() -> Desk:
    hours = [
        Session(day, datetime(2010, 1, day.day, 14, 30, tzinfo=UTC), datetime(2010, 1, day.day, 21, tzinfo=UTC))
        for day in DAYS
    ]
    bars = [DailyBar(day, 10000, 10500, 9500, 10400, 39_000_000) for day in DAYS]
    made = Desk(Engine(stock_market(hours, {"AAA": bars}, DAYS[1], DAYS[2]), ["DU1"], Decimal(100_000), Commissions()))
    made.advance(MORNING)
    return made


def entry(quantity: int = 100, limit: str = "101.00", stop: str = "90.00") -> SubmitOrder:
    return bracket(
        order_id="one",
        symbol="AAA",
        side=Side.BUY,
        quantity=Decimal(quantity),
        limit_price=Decimal(limit),
        stop_price=Decimal(stop),
        target_price=Decimal("110.00"),
        time_in_force=TimeInForce.DAY,
        expires_at=MORNING + timedelta(minutes=2),
    )


def statuses(reports: list[object], order_ref: str) -> list[OrderStatus]:
    return [one.status for one in reports if isinstance(one, OrderReported) and one.order_ref == order_ref]


def test_a_bracket_fills_and_its_children_work(desk: Desk) -> None:
    reports = [*desk.submit(entry())]
    (fill,) = [one for one in reports if isinstance(one, ExecutionReported)]
    (fee,) = [one for one in reports if isinstance(one, CommissionReported)]
    quote = desk.quote("AAA")
    assert quote is not None
    assert (fill.order_ref, fill.quantity, fill.price, fill.symbol) == ("one", 100, quote.ask, "AAA")
    assert (fee.execution_id, fee.commission) == (fill.execution_id, 1)
    assert statuses(reports, "one")[-1] is OrderStatus.FILLED
    assert statuses(reports, "one.stop")[-1] is OrderStatus.SUBMITTED
    snapshot = desk.snapshot()
    assert {order.order_ref for order in snapshot.orders} == {"one.stop", "one.target"}
    assert [(held.symbol, held.quantity) for held in snapshot.positions] == [("AAA", 100)]
    assert snapshot.account.cash == 100_000 - 100 * fill.price - 1


def test_what_the_account_cannot_carry_is_rejected_with_its_children(desk: Desk) -> None:
    reports = [*desk.submit(entry(quantity=5000))]
    for order_ref in ("one", "one.stop", "one.target"):
        assert statuses(reports, order_ref)[-1] is OrderStatus.REJECTED
    assert not desk.snapshot().orders


def test_a_group_of_which_one_is_refused_is_rejected_whole(desk: Desk) -> None:
    """The stop's price is off the grid; the target, which would transmit them all, has no parent that counts."""
    reports = [*desk.submit(entry(limit="101.005"))]
    assert {one.status for one in reports if isinstance(one, OrderReported)} == {OrderStatus.REJECTED}
    assert {one.order_ref for one in reports if isinstance(one, OrderReported)} == {"one", "one.stop", "one.target"}
    assert not desk.engine.book.held()
    assert not desk.engine.received


def test_what_never_was_transmitted_is_rejected(desk: Desk) -> None:
    orders = entry().orders
    broken = orders[2].model_copy(update={"limit_price": Decimal("110.005")})
    reports = [*desk.submit(SubmitOrder(orders=(*orders[:2], broken), expires_at=MORNING + timedelta(minutes=2)))]
    assert {(one.order_ref, one.status) for one in reports if isinstance(one, OrderReported)} == {
        ("one", OrderStatus.REJECTED),
        ("one.stop", OrderStatus.REJECTED),
        ("one.target", OrderStatus.REJECTED),
    }
    assert not desk.engine.book.held()


def test_a_change_is_sent_once_and_a_cancel_takes_the_family(desk: Desk) -> None:
    desk.submit(entry(limit="99.00"))
    change = ModifyOrder(order_ref="one.target", limit_price=Decimal("112.50"))
    assert desk.modify(change)
    assert not desk.modify(change)  # it is so already
    assert [one.what for one in desk.engine.received] == ["place", "place", "place", "modify"]
    assert str(desk.engine.received[-1].limit_price) == "112.5"  # as the wire brings it
    reports = [*desk.cancel(CancelOrder(order_ref="one"))]
    for order_ref in ("one", "one.stop", "one.target"):
        assert statuses(reports, order_ref)[-1] is OrderStatus.CANCELLED
    assert not desk.cancel(CancelOrder(order_ref="one"))
    assert not desk.modify(change)
    assert not desk.modify(ModifyOrder(order_ref="two", limit_price=Decimal(1)))


def test_quotes_are_the_present_ticks(desk: Desk) -> None:
    quotes = Quotes(desk, ["AAA"])
    quote = quotes["AAA"]
    assert (quote.time, quote.quality) == (MORNING, QuoteQuality.LIVE)
    assert quote.last is not None
    assert (quote.bid, quote.ask) == (quote.last - Decimal("0.01"), quote.last + Decimal("0.01"))
    assert quotes.get("ZZZ") is None
    assert list(quotes) == ["AAA"]
    assert desk.middle("AAA", MORNING) == quote.last
