"""Wants to buy after every bar: the bench's way to an order for each quote."""

import numpy as np

from services.strategy.core.strategy import Bars, Distance, Signals, Strategy


class Always(Strategy):
    """Stop and target are a cent or two away: the next price ends the trade, the next but one begins another."""

    stop: Distance = Distance(fraction=0.0001)
    target: Distance = Distance(fraction=0.0001)

    @property
    def minimum_bars(self) -> int:
        return 1

    def generate_signals(self, bars: Bars) -> Signals:
        flags = np.ones(len(bars), dtype=np.bool_)
        return Signals(entry=flags, exit=~flags)
