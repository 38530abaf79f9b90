"""A broker adapter on stage: what it was told to do, what it let us hear, and the simulator's own books behind it.

`Desk` is any connected broker, also a real paper account; `Stage` is one in front of a simulator whose time, prices and
faults the case decides. Cases know `services.gateway.ports` and the messages, never an adapter.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import uuid4

from services.gateway.adapters.tws.broker import TwsBroker
from services.gateway.adapters.web.broker import WebBroker
from services.gateway.budget import Budget
from services.gateway.config import Settings
from services.gateway.ports import Broker
from services.simulator.app import Simulator
from services.simulator.config import Settings as SimulatorSettings
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.instruments import Instrument as Listed
from services.simulator.core.orders import Order
from services.simulator.core.quotes import Quote as MarketQuote
from services.simulator.faults.effects import Effect
from shared.clock import clock_for
from shared.instruments import parse
from shared.messages.base import Message
from shared.messages.broker import (
    BrokerErrorReported,
    CommissionReported,
    ExecutionReported,
    OrderPreviewed,
    OrderReported,
)
from shared.messages.broker_commands import OrderTerms
from shared.messages.market import Quote
from shared.messages.market_requests import FetchHistory
from shared.types import Mode, OrderStatus, OrderType, SecurityType, Side, Timeframe
from tests.conformance.market import ACCOUNT, SETTINGS, TEN_O_CLOCK, Future

ADAPTERS = ("tws", "web")
DEADLINE_SECONDS = 10
M = TypeVar("M", bound=Message)
PAPER_VARIABLES = {
    "tws": ("MILLRACE_PAPER_HOST", "MILLRACE_PAPER_PORT", "MILLRACE_PAPER_CLIENT_ID", "MILLRACE_PAPER_ACCOUNT"),
    "web": ("MILLRACE_PAPER_WEB_URL", "MILLRACE_PAPER_ACCOUNT"),
}
PAPER_MESSAGES = {"tws": 45, "web": 10}
"""Messages per second that IBKR allows, or a little less."""


async def until(condition: Callable[[], object], what: str, found: Callable[[], object] = str) -> None:
    """Poll a condition; fail after the deadline with what was waited for, and what was `found` instead."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not: {what}; {found()}"
        await asyncio.sleep(0.005)


class Heard:
    """All that the broker let us hear, in order; implements `ports.Listener`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.quote_changes = 0

    def heard(self, message: Message) -> None:
        self.messages.append(message)

    def quotes_changed(self) -> None:
        self.quote_changes += 1

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, kind)]


@dataclass
class Desk:
    """A connected broker, and what it says."""

    broker: Broker
    account: str
    heard: Heard = field(default_factory=Heard)
    quotes: dict[str, Quote] = field(default_factory=dict[str, Quote])
    _run: str = field(default_factory=lambda: uuid4().hex[:8])

    async def connect(self) -> Sequence[str]:
        return await self.broker.connect(self.heard)

    async def settle(self) -> None:
        """All that the broker has said so far has been heard."""
        await self.broker.current_time()

    # -- orders

    def ref(self, name: str) -> str:
        """An orderRef that no account has seen before."""
        return f"{self._run}-{name}"

    async def submit(self, *orders: OrderTerms) -> None:
        """Send orders as one, and wait until the broker has dealt with them."""
        first = self.broker.orders.next_order_id()
        ids = {order.order_ref: first + number for number, order in enumerate(orders)}
        await self.broker.orders.submit(orders, ids, self.account)
        await self.settle()

    async def preview(self, order: OrderTerms) -> OrderPreviewed:
        orders = self.broker.orders
        return await orders.preview(order, orders.next_order_id(), self.account)

    def told(self, order_ref: str) -> list[OrderReported]:
        return [report for report in self.heard.of(OrderReported) if report.order_ref == order_ref]

    async def order(self, order_ref: str, *wanted: OrderStatus) -> OrderReported:
        """Wait until the broker's last word on an order is one of these; return it."""
        await until(
            lambda: self.told(order_ref) and self.told(order_ref)[-1].status in wanted,
            f"{order_ref} {' or '.join(wanted)}",
            lambda: [(report.status.value, report.reason) for report in self.told(order_ref)],
        )
        return self.told(order_ref)[-1]

    async def works(self, order_ref: str) -> OrderReported:
        return await self.order(order_ref, OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED)

    async def cancel(self, order_ref: str) -> None:
        await self.broker.orders.cancel(order_ref, self.told(order_ref)[-1].broker_order_id)

    def fills(self, order_ref: str) -> list[ExecutionReported]:
        """Executions of an order, each once; a combination's own one is not among those of its legs."""
        found = {fill.execution_id: fill for fill in self.heard.of(ExecutionReported) if fill.order_ref == order_ref}
        return list(found.values())

    async def filled(self, order_ref: str) -> list[ExecutionReported]:
        """Wait until an order is filled and its executions and their commissions were heard; return the executions."""
        report = await self.order(order_ref, OrderStatus.FILLED)

        def complete() -> bool:
            fills = [fill for fill in self.fills(order_ref) if not fill.combination]
            charged = {one.execution_id for one in self.heard.of(CommissionReported)}
            return bool(fills) and {fill.execution_id for fill in fills} <= charged and self._whole(order_ref, report)

        await until(complete, f"executions and commissions of {order_ref}", lambda: self.fills(order_ref))
        return self.fills(order_ref)

    def _whole(self, order_ref: str, report: OrderReported) -> bool:
        fills = self.fills(order_ref)
        if len({fill.symbol for fill in fills}) > 1:
            return any(fill.combination for fill in fills)
        return sum(fill.quantity for fill in fills) == report.filled

    async def error(self, condition: Callable[[BrokerErrorReported], object], what: str) -> BrokerErrorReported:
        await until(lambda: any(map(condition, self.heard.of(BrokerErrorReported))), what)
        return next(filter(condition, self.heard.of(BrokerErrorReported)))

    # -- quotes

    async def quote(self, symbol: str, right: Callable[[Quote], object] = bool) -> Quote:
        """Take batches until the newest quote of a symbol is right; return it."""

        def found() -> bool:
            self.quotes |= {quote.symbol: quote for quote in self.broker.lines.take_quotes(time.monotonic())}
            return symbol in self.quotes and bool(right(self.quotes[symbol]))

        await until(found, f"quote of {symbol}", lambda: self.quotes.get(symbol))
        return self.quotes[symbol]

    async def price(self, symbol: str = "AAPL") -> Decimal:
        """About what a stock costs now."""
        request = FetchHistory(symbol=symbol, timeframe=Timeframe.DAY, count=1)
        bars = await self.broker.requests.history(request, await self.broker.current_time())
        return bars[-1].close


@dataclass
class Stage(Desk):
    """A desk in front of a simulator. Time stands still but for `advance`; it is gone once `serving` is closed."""

    simulator: Simulator = field(kw_only=True)
    serving: AsyncExitStack = field(kw_only=True)

    @property
    def now(self) -> datetime:
        return self.simulator.engine.now

    def advance(self, to: datetime) -> None:
        self.simulator.broker.advance(to)

    def fire(self, effect: Effect) -> None:
        """Let something go wrong at once."""
        self.simulator.faults.fire(effect)

    # -- the market

    def listed(self, symbol: str) -> Listed:
        """What the simulator lists under one of our names."""
        instrument = parse(symbol)
        name = instrument.local_symbol or instrument.symbol
        if instrument.security_type is SecurityType.CURRENCY:
            name = symbol
        query = ContractQuery(local_symbol=name, security_type=instrument.security_type.value)
        if instrument.security_type is SecurityType.OPTION:
            query = ContractQuery(local_symbol=name, symbol=instrument.symbol, security_type="OPT")
        (found,) = self.simulator.engine.market.catalogue.find(query, self.now)
        return found

    def market(self, symbol: str = "AAPL") -> MarketQuote:
        """The market's own quote of this moment."""
        found = self.simulator.engine.market.quote(self.listed(symbol).contract_id, self.now)
        assert found is not None
        return found

    def future(self, symbol: str = "AAPL") -> Future:
        """What the price will do in the rest of the day."""
        tape: Any = self.simulator.engine.market.tape_at(self.listed(symbol).contract_id, self.now)
        return Future(tape, tape.index(self.now))

    def option(self, right: str = "C", places: int = 0, expiry: str = "240621", underlying: str = "AAPL") -> str:
        """The name of an option `places` strikes above (below if negative) the one nearest to the price."""
        (chain, *_) = self.simulator.engine.market.catalogue.chain(self.listed(underlying).contract_id, self.now)
        strikes = sorted(chain.strikes)
        price = self.market(underlying).last
        nearest = min(range(len(strikes)), key=lambda number: abs(strikes[number] - price))
        return f"{underlying:<6}{expiry}{right}{int(strikes[nearest + places] * 1000):08d}"

    # -- the books

    def booked(self, order_ref: str) -> Order:
        """An order as the simulator has it, found by its orderRef or, where it bears none, by its permanent id."""
        permanent = {report.perm_id for report in self.told(order_ref)}
        orders = self.simulator.engine.book.orders.values()
        (found,) = [one for one in orders if one.request.order_ref == order_ref or one.permanent_id in permanent]
        return found

    def working(self) -> list[str]:
        """orderRefs of all orders that work at the simulator."""
        return [order.request.order_ref for order in self.simulator.engine.book.live()]

    def received(self, what: str = "place") -> list[str]:
        """orderRefs of all orders that the simulator was told to place, modify or cancel."""
        return [entry.order_ref for entry in self.simulator.engine.received if entry.what == what]


def terms(order_ref: str, order_type: OrderType = OrderType.MARKET, **rest: Any) -> OrderTerms:
    """An order for 100 AAPL, unless `rest` says otherwise; to buy, too."""
    given = {"symbol": "AAPL", "side": Side.BUY, "quantity": Decimal(100), **rest}
    return OrderTerms.model_validate({"order_ref": order_ref, "order_type": order_type, **given})


def limit(order_ref: str, price: Decimal, **rest: Any) -> OrderTerms:
    return terms(order_ref, OrderType.LIMIT, limit_price=price, **rest)


def cents(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.01"))


def make_broker(adapter: str, mode: Mode, settings: dict[str, Any], per_second: int = 0) -> Broker:
    """The adapter; `per_second` messages, 0 = without limit."""
    given = {"adapter": adapter, "requests_per_second": per_second, "delayed_data": True, **settings}
    made = Settings.model_validate(given)
    kind = {"tws": TwsBroker, "web": WebBroker}[adapter]
    return kind(made, mode, clock_for(mode), Budget(per_second, lambda: None))


@asynccontextmanager
async def simulated(
    adapter: str, gateway: Mapping[str, Any] = MappingProxyType({}), **market: Any
) -> AsyncGenerator[Stage]:
    """A stage that is not connected yet, half an hour after the first open.

    `gateway` are settings of the adapter, `market` those of the simulator.
    """
    web_port = 0 if adapter == "web" else None
    settings = SimulatorSettings.model_validate({**SETTINGS, "web_port": web_port, **market})
    simulator = Simulator(settings, None)
    simulator.broker.advance(TEN_O_CLOCK)
    async with AsyncExitStack() as serving:
        await serving.enter_async_context(simulator.serving())
        broker = make_broker(adapter, Mode.SIMULATED, {**addresses(simulator, adapter), **gateway})
        try:
            yield Stage(broker, ACCOUNT, simulator=simulator, serving=serving)
        finally:
            broker.disconnect()


def addresses(simulator: Simulator, adapter: str = "tws") -> dict[str, Any]:
    """Gateway settings that lead to a simulator."""
    return {"web_url": f"http://127.0.0.1:{simulator.web_port}"} if adapter == "web" else {"port": simulator.port}


@asynccontextmanager
async def paper(adapter: str) -> AsyncGenerator[Desk]:
    """A desk in front of a real paper account, not connected yet.

    Raises:
        KeyError: a variable of the environment is missing (README.md lists them).
    """
    given = {name: os.environ[name] for name in PAPER_VARIABLES[adapter]}
    account = given.pop("MILLRACE_PAPER_ACCOUNT")
    settings = {name.removeprefix("MILLRACE_PAPER_").lower(): value for name, value in given.items()}
    desk = Desk(make_broker(adapter, Mode.PAPER, {"account": account, **settings}, PAPER_MESSAGES[adapter]), account)
    try:
        yield desk
    finally:
        desk.broker.disconnect()
