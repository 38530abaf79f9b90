"""Order-book steps: one working order compared with one tick of its instrument, by the engine as the simulator runs it.

Forty orders rest on each of fifty instruments that take random walks; time leaps to the close. By then every order
has been compared with every tick until it ended; those ticks are counted. Making the tapes is not measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import cast

import numpy as np

from services.simulator.core.catalogue import stock
from services.simulator.core.commissions import Commissions
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.orders import OrderRequest
from services.simulator.core.tape import Level, Session, Tape

INSTRUMENTS = 50
ORDERS_EACH = 40
"""Twenty on each side, as many as IBKR allows."""
ENOUGH = 200_000
"""Steps a second that plain orders must reach on one core."""
PLAIN = frozenset({"limit", "stop"})
SESSION = Session(
    date(2010, 1, 5), datetime(2010, 1, 5, 14, 30, tzinfo=UTC), datetime(2010, 1, 5, 21, tzinfo=UTC)
)  # fmt: skip
CENT = Decimal("0.01")
Terms = Callable[[int, str], dict[str, Decimal]]
"""Prices of an order, from its number on its side and its action, around 100 where the walks begin."""


def apart(percent: float, action: str) -> Decimal:
    """A price so far below the market for a buyer and above it for a seller, the other way round if negative."""
    return Decimal(100 + (-percent if action == "BUY" else percent)).quantize(CENT)


CASES: dict[str, tuple[str, Terms]] = {
    "limit": ("LMT", lambda number, action: {"limit_price": apart(0.2 * (number + 1), action)}),
    "stop": ("STP", lambda number, action: {"aux_price": apart(-0.2 * (number + 1), action)}),
    "limit behind a queue": ("LMT", lambda _, action: {"limit_price": apart(0.05, action)}),
    "trailing stop": ("TRAIL", lambda number, _: {"aux_price": Decimal(number + 5) / 5}),
    "pegged, far from its cap": ("PEG MID", lambda _, action: {"price_cap": apart(5, action)}),
}


@dataclass(frozen=True)
class Result:
    name: str
    orders: int
    fills: int
    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.steps / self.seconds


class Walks:
    """One day of random walks, as `core.gates.TradedPrices`."""

    sessions = (SESSION,)

    def __init__(self, tick_seconds: int) -> None:
        self.step = timedelta(seconds=tick_seconds)
        self.instruments = {found.contract_id: found for found in (stock(f"S{i}") for i in range(INSTRUMENTS))}
        self.tapes = {contract_id: self._walk(contract_id) for contract_id in self.instruments}

    def _walk(self, contract_id: int) -> Tape:
        ticks = (SESSION.close - SESSION.open) // self.step + 1
        moves = np.random.default_rng(contract_id).integers(-1, 2, ticks) * max(1, round(200 / ticks**0.5))
        last = (10_000 + np.cumsum(moves) - moves[0]).astype(np.int64)
        sizes, volume = np.full(ticks, 500, np.int64), np.arange(1, ticks + 1, dtype=np.int64) * 300
        return Tape(
            contract_id, SESSION.day, SESSION.open, SESSION.close, self.step, CENT, last, last - 1, last + 1,
            sizes, sizes, volume, (0, ticks - 1),
        )  # fmt: skip

    def instrument(self, contract_id: int) -> Instrument:
        return self.instruments[contract_id]

    def tape(self, contract_id: int, day: date) -> Tape | None:
        return self.tapes[contract_id] if day == SESSION.day else None

    def tape_at(self, contract_id: int, now: datetime) -> Tape | None:
        return self.tapes[contract_id] if SESSION.open <= now < SESSION.close else None

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None:
        return self.tapes[contract_id] if after < SESSION.close else None

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None:
        return (self.tapes[contract_id], self.tapes[contract_id].index(now)) if now >= SESSION.open else None

    def ladder(self, tape: Tape, index: int) -> tuple[Sequence[Level], Sequence[Level]]:
        bid, ask = int(tape.bid[index]), int(tape.ask[index])
        return [Level(tape.price(bid - i), 500) for i in range(5)], [Level(tape.price(ask + i), 500) for i in range(5)]

    def increment(self, contract_id: int, price: Decimal) -> Decimal:
        del contract_id, price
        return CENT

    def shortable(self, contract_id: int, day: date) -> int:
        del contract_id, day
        return 10**9

    def actions(self, contract_id: int) -> Sequence[CorporateAction]:
        del contract_id
        return ()


def measure(name: str, market: Walks) -> Result:
    """Run one case on a fresh engine."""
    order_type, terms = CASES[name]
    engine = Engine(cast("Market", market), ["DU1"], Decimal(10**12), Commissions())
    engine.advance(SESSION.open)
    order_ids = iter(range(1, 10**6))
    for contract_id in market.instruments:
        for number in range(ORDERS_EACH):
            action = ("BUY", "SELL")[number % 2]
            prices = terms(number // 2, action)
            engine.place(
                OrderRequest(1, next(order_ids), contract_id, action, Decimal(100), order_type, **prices)  # type: ignore[arg-type]
            )
    began = perf_counter()
    engine.advance(SESSION.close)
    seconds = perf_counter() - began
    ends = [order.completed_at or SESSION.close for order in engine.book.orders.values()]
    steps = sum((end - SESSION.open) // market.step for end in ends)
    return Result(name, len(ends), len(engine.executions), steps, seconds)


def main() -> bool:
    """Print a table; return whether plain orders are fast enough."""
    results: list[Result] = []
    for tick_seconds in (60, 1):
        market = Walks(tick_seconds)
        print(f"\nmatching, {INSTRUMENTS * ORDERS_EACH} orders on {INSTRUMENTS} instruments, ticks of {tick_seconds} s")
        print(f"{'order type':28}{'fills':>8}{'steps':>14}{'steps/s':>14}")
        for name in CASES:
            result = measure(name, market)
            print(f"{name:28}{result.fills:>8,}{result.steps:>14,}{result.rate:>14,.0f}")
            results.append(result)
    return all(result.rate >= ENOUGH for result in results if result.name in PLAIN)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
