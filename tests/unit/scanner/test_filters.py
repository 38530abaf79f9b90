"""Each filter drops what it is for, and says why."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.core.filters import DailyClose, Filters

FILTERS = Filters(min_price=Decimal(5), min_dollar_volume=Decimal(1000), min_momentum=-0.1, look_back=3)


def history(*closes: int, volume: int = 100) -> list[DailyClose]:
    return [DailyClose(Decimal(close), Decimal(volume)) for close in closes]


def test_what_passes_is_kept_with_its_numbers():
    found = FILTERS.judge("IBM", history(99, 10, 12, 11, 13))
    assert found.kept
    assert (found.close, found.dollar_volume, found.momentum) == (13, 1200, 0.3)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (history(10, 11, 12), "3 of 4 sessions known"),
        ([], "0 of 4 sessions known"),
        (history(6, 6, 6, 4), "close 4 below 5 USD"),
        (history(10, 10, 10, 10, volume=99), "dollar volume 990 below 1,000 USD"),
        (history(20, 20, 20, 17), "momentum -15.0% below -10.0% in 3 sessions"),
    ],
)
def test_what_is_dropped_says_why(days: list[DailyClose], reason: str):
    found = FILTERS.judge("IBM", days)
    assert (found.kept, found.reason) == (False, reason)


@given(st.lists(st.integers(1, 1000), min_size=4, max_size=12), st.lists(st.integers(1, 1000), max_size=5))
def test_only_the_newest_sessions_count(newest: list[int], older: list[int]):
    assert FILTERS.judge("IBM", history(*older, *newest)) == FILTERS.judge("IBM", history(*newest[-4:]))
