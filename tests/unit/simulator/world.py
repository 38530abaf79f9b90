"""A small market with tapes known in advance, and short ways to say orders."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import numpy as np

from services.simulator.core.catalogue import stock
from services.simulator.core.commissions import Commissions
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.core.orders import Event, Leg, Order, OrderRequest
from services.simulator.core.tape import Level, Session, Tape

# Monday to Thursday in winter: New York opens at 14:30 UTC
DAYS = (date(2010, 1, 4), date(2010, 1, 5), date(2010, 1, 6), date(2010, 1, 7))
SESSIONS = tuple(
    Session(
        day,
        datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
        datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
    )
    for day in DAYS
)
MINUTE = timedelta(minutes=1)
TICKS = 391
CASH = Decimal(1_000_000)
ACCOUNT = "DU1"
AAA, BBB = stock("AAA"), stock("BBB")
CALL = Instrument(
    1001, "AAA", SecurityType.OPTION, "SMART", "CBOE", "AAA 100115C00100000", "AAA", "AAA", multiplier=100,
    expiry=date(2010, 1, 6), strike=Decimal(100), right="C", underlying_id=AAA.contract_id,
)  # fmt: skip
PUT = replace(CALL, contract_id=1002, right="P", local_symbol="AAA 100115P00100000")
INDEX = replace(stock("III"), security_type=SecurityType.INDEX)


def path(*corners: tuple[int, int]) -> list[int]:
    """Prices in cents on straight lines between (tick, price) corners, which begin at tick 0 and end at the last."""
    return [int(price) for price in np.rint(np.interp(np.arange(TICKS), *zip(*corners, strict=True)))]


def tape(
    instrument: Instrument,
    day: int,
    prices: Sequence[int],
    *,
    size: int = 10_000,
    volume: int = 1000,
    spread: int = 1,
    **more: Any,
) -> Tape:
    """A day's tape from its last prices in cents; each tick shows `size` and trades `volume`."""
    session, last = SESSIONS[day], np.array(prices, np.int64)
    sizes = np.full(len(last), size, np.int64)
    end = min(session.close, session.open + (len(last) - 1) * MINUTE)
    made = Tape(
        instrument.contract_id, session.day, session.open, end, MINUTE, Decimal("0.01"), last, last - spread,
        last + spread, sizes, sizes, np.arange(1, len(last) + 1, dtype=np.int64) * volume, (0, len(last) - 1),
    )  # fmt: skip
    return replace(made, **more)


# AAA opens at 100.00, falls to 90.00 at tick 100, rises to 110.00 at 300, closes at 105.00; then gaps up to 120.00
AAA_TAPES = (
    tape(AAA, 0, path((0, 9900), (390, 10000))),
    tape(AAA, 1, path((0, 10000), (100, 9000), (300, 11000), (390, 10500))),
    tape(AAA, 2, path((0, 12000), (90, 12500), (250, 11500), (390, 11600))),
    tape(AAA, 3, path((0, 11600), (30, 11700), (380, 11000), (390, 11100))),
)
BBB_TAPES = (
    tape(BBB, 1, path((0, 5000), (100, 4900), (200, 5100), (390, 5050))),
    tape(BBB, 3, path((0, 5000), (390, 5000))),
)


@dataclass
class Listed:
    """Tapes as a market: `core.exchange.TradedPrices`. The ladder has five levels of the same size, a cent apart."""

    tapes: Sequence[Tape]
    instruments: Sequence[Instrument] = (AAA, BBB, CALL, PUT, INDEX)
    sessions: Sequence[Session] = SESSIONS[1:]
    borrowable: int = 1_000_000
    actions_of: Mapping[int, Sequence[CorporateAction]] = field(default_factory=dict)

    def instrument(self, contract_id: int) -> Instrument:
        return {listed.contract_id: listed for listed in self.instruments}[contract_id]

    def _of(self, contract_id: int) -> list[Tape]:
        return [tape for tape in self.tapes if tape.contract_id == contract_id]

    def tape(self, contract_id: int, day: date) -> Tape | None:
        return next((tape for tape in self._of(contract_id) if tape.day == day), None)

    def tape_at(self, contract_id: int, now: datetime) -> Tape | None:
        return next((tape for tape in self._of(contract_id) if tape.start <= now < tape.end), None)

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None:
        return next((tape for tape in self._of(contract_id) if tape.end > after), None)

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None:
        tapes = self._of(contract_id)
        index = bisect_right(tapes, now, key=lambda tape: tape.start) - 1
        return (tapes[index], tapes[index].index(now)) if index >= 0 else None

    def ladder(self, tape: Tape, index: int) -> tuple[Sequence[Level], Sequence[Level]]:
        bids = [Level(tape.price(int(tape.bid[index]) - step), int(tape.bid_size[index])) for step in range(5)]
        asks = [Level(tape.price(int(tape.ask[index]) + step), int(tape.ask_size[index])) for step in range(5)]
        return bids, asks

    def increment(self, contract_id: int, price: Decimal) -> Decimal:
        del contract_id, price
        return Decimal("0.01")

    def shortable(self, contract_id: int, day: date) -> int:
        del contract_id, day
        return self.borrowable

    def actions(self, contract_id: int) -> Sequence[CorporateAction]:
        return self.actions_of.get(contract_id, ())


def market() -> Listed:
    return Listed((*AAA_TAPES, *BBB_TAPES))


def make_engine(listed: Listed | None = None, accounts: Sequence[str] = (ACCOUNT,), cash: Decimal = CASH) -> Engine:
    return Engine(cast("Market", listed or market()), accounts, cash, Commissions())


def at_open(engine: Engine, day: int = 1) -> Engine:
    """Advance to the first tick of a day and return the engine."""
    engine.advance(SESSIONS[day].open)
    return engine


def minutes(day: int, count: int) -> datetime:
    return SESSIONS[day].open + timedelta(minutes=count)


_AUXILIARY = frozenset({"STP", "MIT", "TRAIL"})


def order(order_id: int, action: str, order_type: str, price: str | None = None, **more: object) -> OrderRequest:
    """100 shares of AAA; `price` is the stop of a stop order, the amount of a trailing one, else the limit."""
    values: dict[str, object] = {
        "contract_id": AAA.contract_id,
        "quantity": Decimal(100),
        "order_ref": f"ref-{order_id}",
        "client_id": 1,
    }
    if price is not None:
        values["aux_price" if order_type in _AUXILIARY else "limit_price"] = Decimal(price)
    return OrderRequest(order_id=order_id, action=action, order_type=order_type, **{**values, **more})  # type: ignore[arg-type]


def bracket(first_id: int, entry: str, target: str, stop: str, **more: object) -> list[OrderRequest]:
    return [
        order(first_id, "BUY", "LMT", entry, transmit=False, **more),
        order(first_id + 1, "SELL", "LMT", target, parent_id=first_id, transmit=False, **more),
        order(first_id + 2, "SELL", "STP", stop, parent_id=first_id, **more),
    ]


def place_all(engine: Engine, requests: Sequence[OrderRequest]) -> list[Event]:
    return [event for request in requests for event in engine.place(request)]


def state(engine: Engine, order_id: int) -> Order:
    return engine.book.orders[1, order_id]


def leg(contract: Instrument, action: str, ratio: int = 1) -> Leg:
    return Leg(contract.contract_id, ratio, action)
