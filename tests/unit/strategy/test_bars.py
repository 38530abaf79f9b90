"""Bars as arrays, and joined to longer ones."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.strategy.core.bars import Bars, UnfitBarsError
from services.strategy.core.samples import sample_bars
from shared.types import Timeframe
from tests.unit.strategy.samples import make_bars

MINUTES = sample_bars(Timeframe.MINUTE, 1300)


def times(bars: Bars) -> list[str]:
    return [str(end)[5:16] for end in bars.end]


def test_bars_become_arrays_of_one_shape():
    bars = Bars.of(make_bars([10, 11.5]))
    assert bars.close.tolist() == [10, 11.5]
    assert bars.high.tolist() == [11, 12.5]
    assert bars.end.astype(str).tolist() == ["2012-01-03T21:00:00.000000", "2012-01-04T21:00:00.000000"]
    assert {array.dtype for array in (bars.open, bars.low, bars.volume)} == {np.dtype(np.float64)}
    assert (len(bars.first(1)), bars.part(1, 2).close.tolist()) == (1, [11.5])


def test_five_minutes_are_joined_to_one_bar_and_the_oldest_is_left_out():
    longer = MINUTES.first(16).resample(Timeframe.FIVE_MINUTES)
    assert times(longer) == ["01-02T14:40", "01-02T14:45"], "the next one ends at 14:50, and these bars end at 14:46"
    five = MINUTES.part(5, 10)
    assert longer.open[0] == five.open[0]
    assert longer.close[0] == five.close[-1]
    assert (longer.high[0], longer.low[0]) == (five.high.max(), five.low.min())
    assert longer.volume[0] == five.volume.sum()
    assert times(MINUTES.first(20).resample(Timeframe.FIVE_MINUTES))[-1] == "01-02T14:50"


def test_a_day_ends_with_its_session_even_on_a_short_one():
    ends = [
        datetime(2014, 7, day, hour, minute, tzinfo=UTC)
        for day, hour, minute in (
            (2, 19, 59),
            (2, 20, 0),
            (2, 20, 1),
            (3, 13, 31),
            (3, 17, 0),
            (3, 17, 1),
            (7, 13, 31),
            (7, 20, 0),
        )
    ]  # fmt: skip - the third closes at 13:00 in New York, the fourth and the weekend are none
    price = np.arange(1.0, 9)
    minutes = Bars(np.array([end.replace(tzinfo=None) for end in ends], "datetime64[us]"), *[price] * 5)
    days = minutes.resample(Timeframe.DAY)
    assert times(days) == ["07-03T17:00", "07-07T20:00"]
    assert (days.open.tolist(), days.close.tolist()) == ([3, 6], [5, 8]), "after the close counts to the next session"


def test_an_aligned_value_is_that_of_the_last_longer_bar_that_had_closed():
    days = MINUTES.resample(Timeframe.DAY)
    high = MINUTES.align(days, days.high)
    assert np.isnan(high[: 2 * 390 - 1]).all(), "the first session may have begun before these bars"
    assert (high[2 * 390 - 1 : 3 * 390 - 1] == MINUTES.high[390 : 2 * 390].max()).all()
    assert high[3 * 390 - 1] == MINUTES.high[2 * 390 : 3 * 390].max()


@given(st.integers(1, 1300), st.integers(0, 1299), st.sampled_from([Timeframe.FIVE_MINUTES, Timeframe.HOUR]))
def test_later_bars_change_no_aligned_value(count: int, start: int, timeframe: Timeframe):
    whole = MINUTES.resample(timeframe)
    known = MINUTES.align(whole, whole.close + whole.low)
    prefix = MINUTES.first(count)
    longer = prefix.resample(timeframe)
    np.testing.assert_array_equal(prefix.align(longer, longer.close + longer.low), known[:count])
    window = MINUTES.part(start, 1300)
    longer = window.resample(timeframe)
    seen = window.align(longer, longer.close + longer.low)
    np.testing.assert_array_equal(seen[~np.isnan(seen)], known[start:][~np.isnan(seen)])


def test_nothing_is_joined_to_nothing():
    nothing = MINUTES.first(0)
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        longer = nothing.resample(timeframe)
        assert len(longer) == len(nothing.align(longer, longer.close)) == 0
        assert np.isnan(MINUTES.align(longer, longer.close)).all()


@pytest.mark.parametrize("timeframe", [Timeframe.MINUTE, Timeframe.THIRTY_SECONDS])
def test_bars_are_joined_to_longer_ones_only(timeframe: Timeframe):
    with pytest.raises(UnfitBarsError, match=f"joined to bars of {timeframe}: they are as long already"):
        MINUTES.resample(timeframe)
    with pytest.raises(UnfitBarsError):
        Bars.of(make_bars([10, 11, 12])).resample(Timeframe.DAY)


def test_sample_bars_are_bars_and_always_the_same():
    again = sample_bars(Timeframe.MINUTE, 1300)
    np.testing.assert_array_equal(again.close, MINUTES.close)
    assert (MINUTES.low <= np.minimum(MINUTES.open, MINUTES.close)).all()
    assert (MINUTES.high >= np.maximum(MINUTES.open, MINUTES.close)).all()
    assert times(MINUTES)[389:391] == ["01-02T21:00", "01-03T14:31"]
