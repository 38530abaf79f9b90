"""The simulated account through time, one element per session's close, and the orders that it was sent."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from services.backtest.core.model import Curve, OrderSent
from services.simulator.core.corporate import ActionKind
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.orders import ReceivedOrder
from services.strategy.core.strategy import Floats
from shared.types import Side

_CHANGES = {"place": "new", "modify": "modify", "cancel": "cancel"}


class CurveRecorder:
    """Writes the account down whenever it is told to; `compared` are the instruments of the benchmark."""

    def __init__(self, engine: Engine, compared: Sequence[Instrument]) -> None:
        self._engine = engine
        self._compared = compared
        self._cash = float(engine.valuation().net_liquidation)
        self._rows: list[tuple[datetime, float, float]] = []

    def record(self, at: datetime) -> None:
        """Value the account at the present prices; `at` is the close that they are of."""
        valuation = self._engine.valuation()
        value, gross = float(valuation.net_liquidation), float(valuation.gross_position_value)
        self._rows.append((at, value, gross / value if value > 0 else np.nan))

    def curve(self) -> Curve:
        times = [at.astimezone(UTC).replace(tzinfo=None) for at, _, _ in self._rows]
        return Curve(
            np.array(times, dtype="datetime64[us]"),
            np.array([value for _, value, _ in self._rows]),
            np.array([exposure for _, _, exposure in self._rows]),
            _benchmark(self._engine.market, self._compared, self._cash),
        )


def orders_sent(received: Iterable[ReceivedOrder]) -> tuple[OrderSent, ...]:
    """The simulated broker's log of what it was sent about single orders."""
    return tuple(
        OrderSent(
            time=entry.time,
            change=_CHANGES[entry.what],
            order_ref=entry.order_ref,
            symbol=entry.symbol,
            side=Side(entry.action),
            quantity=entry.quantity,
            order_type=entry.order_type,
            limit_price=entry.limit_price,
            trigger_price=entry.stop_price,
            time_in_force=entry.time_in_force,
        )
        for entry in received
        if entry.quantity is not None
    )


def _benchmark(market: Market, instruments: Sequence[Instrument], cash: float) -> Floats:
    """The cash in equal parts in the instruments, each bought at its first open; splits count, dividends do not."""
    growth = np.zeros(len(market.sessions))
    for instrument in instruments:
        growth += _growth(market, instrument.contract_id)
    return growth * (cash / len(instruments)) if instruments else np.full(len(market.sessions), np.nan)


def _growth(market: Market, contract_id: int) -> Floats:
    """What one USD in a stock has become at each close; one before its first bar and, if it never has one, for ever."""
    splits = {
        action.day: float(action.value) for action in market.actions(contract_id) if action.kind is ActionKind.SPLIT
    }
    shares, newest = 0.0, 1.0
    growth: list[float] = []
    for session in market.sessions:
        shares *= splits.get(session.day, 1.0)
        bar = market.daily_bar(contract_id, session.day)
        if bar is not None:
            shares = shares or 1 / bar.open
            newest = shares * bar.close
        growth.append(newest)
    return np.array(growth)
