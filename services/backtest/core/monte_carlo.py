"""Would the same trades in another order, or other trades like these, have been bearable?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.backtest.core.model import Trade
from services.strategy.core.strategy import Floats

PERCENTILES = (5, 25, 50, 75, 95)
BLOCK = 200  # runs at a time: bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarlo:
    """Arrays of one shape (runs,), sorted. `max_drawdowns` (fractions of the peak) of the same trades shuffled, whose
    final value is always the same; `final_values` (USD) of as many trades drawn from them with replacement. Each
    trade moves the account by the fraction it moved it in the backtest; between its fills it is not looked at.
    `observed_drawdown` is that of the trades in their real order.
    """

    seed: int
    max_drawdowns: Floats
    final_values: Floats
    observed_drawdown: float

    def percentiles(self, of: Floats) -> dict[int, float]:
        """5, 25, 50, 75 and 95 per cent of the runs are at most this."""
        return {level: float(np.percentile(of, level)) for level in PERCENTILES}


def shuffle_trades(trades: Sequence[Trade], cash: float, *, runs: int, seed: int) -> MonteCarlo | None:
    """Replay the trades `runs` times from `cash` USD; None with fewer than two trades."""
    if len(trades) < 2:
        return None
    growth = _growth(trades, cash)
    lots = np.random.default_rng(seed)
    drawdowns: list[Floats] = []
    finals: list[Floats] = []
    for start in range(0, runs, BLOCK):
        rows = min(BLOCK, runs - start)
        shuffled = lots.permuted(np.broadcast_to(growth, (rows, len(growth))), axis=1)
        drawdowns.append(_max_drawdowns(shuffled))
        finals.append(cash * np.prod(lots.choice(growth, (rows, len(growth))), axis=1))
    return MonteCarlo(
        seed,
        np.sort(np.concatenate(drawdowns)),
        np.sort(np.concatenate(finals)),
        float(_max_drawdowns(growth[np.newaxis])[0]),
    )


def _growth(trades: Sequence[Trade], cash: float) -> Floats:
    """By what each trade multiplied the account, in the order of closing; 0 where it took all there was."""
    nets = np.array([float(trade.net) for trade in sorted(trades, key=lambda trade: trade.closed_at)])
    before = cash + np.concatenate(([0.0], np.cumsum(nets[:-1])))
    return np.maximum(1 + nets / np.maximum(before, 1e-9), 0.0)


def _max_drawdowns(growth: Floats) -> Floats:
    """Of each row's path that starts at 1; shapes (runs, trades) to (runs,)."""
    paths = np.cumprod(growth, axis=1)
    peaks = np.maximum(np.maximum.accumulate(paths, axis=1), 1.0)
    return np.max(1 - paths / peaks, axis=1, initial=0.0)
