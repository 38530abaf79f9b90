"""Bars with given closes, for the tests of this folder."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from shared.calendar import session_hours, sessions
from shared.messages.market import Bar
from shared.types import Timeframe

DAYS = sessions(date(2012, 1, 3), date(2012, 12, 31))


def make_bars(closes: Sequence[float], symbol: str = "IBM") -> list[Bar]:
    """Daily bars of consecutive sessions from 2012-01-03 on; high and low lie 1 USD beyond the close."""
    bars: list[Bar] = []
    for day, value in zip(DAYS, closes, strict=False):
        hours = session_hours(day)
        assert hours is not None
        close = Decimal(str(value))
        bars.append(
            Bar(
                symbol=symbol,
                timeframe=Timeframe.DAY,
                start=hours[0],
                end=hours[1],
                open=close,
                high=close + 1,
                low=close - 1,
                close=close,
                volume=Decimal(1000),
            )
        )
    return bars


CROSSING_UP = [20, 19, 18, 17, 16, 15, 14, 13, 12, 25]
"""With fast=2, slow=4 the averages cross upwards at the last bar."""
CROSSING_DOWN = [10, 11, 12, 13, 14, 15, 16, 17, 18, 5]
"""... and here downwards."""
