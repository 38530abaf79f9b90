"""What each strategy of the house buys and sells, on bars made for it."""

import numpy as np
import pytest
from pydantic import ValidationError

from services.strategy.core.bars import Bars, Floats
from services.strategy.core.samples import sample_bars
from services.strategy.core.strategy import Signals, signals_of
from services.strategy.strategies.breakout import Breakout
from services.strategy.strategies.level_based import LevelBased
from services.strategy.strategies.mean_reversion import MeanReversion
from services.strategy.strategies.momentum import Momentum
from services.strategy.strategies.range_bound import RangeBound
from services.strategy.strategies.trend_pullback import TrendPullback
from shared.types import Timeframe

DAYS = sample_bars(Timeframe.DAY, 400)
MINUTES = sample_bars(Timeframe.MINUTE, 3 * 390)


def bars(closes: Floats | list[float], *, volume: Floats | float = 1000.0, spread: float = 0.5) -> Bars:
    """Daily bars that open at the close before; high and low lie `spread` beyond both."""
    close = np.array(closes, dtype=np.float64)
    opening = np.append(close[:1], close[:-1])
    high, low = np.maximum(opening, close) + spread, np.minimum(opening, close) - spread
    return Bars(DAYS.end[: len(close)], opening, high, low, close, np.full(len(close), volume))


def when(signals: Signals) -> tuple[list[int], list[int]]:
    return np.flatnonzero(signals.entry).tolist(), np.flatnonzero(signals.exit).tolist()


WAVE = 100 + np.sin(np.arange(30) / 2)


def test_mean_reversion_buys_below_the_band_and_sells_at_the_average():
    strategy = MeanReversion(period=20, rsi_period=5, oversold=30)
    entries, exits = when(signals_of(strategy, bars([*WAVE, 98, 96, 95, 98, 101])))
    assert [bar for bar in entries if bar >= 30] == [30], "one fall is one entry"
    assert [bar for bar in exits if bar >= 30] == [34]


def test_mean_reversion_needs_a_low_rsi_too():
    steady = [*WAVE, 98, 96, 95, 98, 101]
    assert not signals_of(MeanReversion(rsi_period=5, oversold=5), bars(steady)).entry[30:].any()


def test_mean_reversion_is_the_stronger_the_deeper_the_fall():
    strengths = [signals_of(MeanReversion(), bars([*WAVE, close])).strength for close in (99, 98, 94)]
    shallow, deep, deepest = (strength[-1] for strength in strengths if strength is not None)
    assert 0 < shallow < deep < deepest <= 1


FALL_AND_RISE = [*np.linspace(120, 100, 40), *np.linspace(101, 140, 20), *np.linspace(138, 120, 15)]


def test_momentum_buys_when_macd_turns_up_on_volume_and_sells_when_it_turns_down():
    strategy = Momentum(minimum_rsi=0, volume_factor=1.5)
    busy = np.full(75, 1000.0)
    [turn] = [
        bar for bar in when(signals_of(Momentum(minimum_rsi=0, volume_factor=0), bars(FALL_AND_RISE)))[0] if bar > 39
    ]
    busy[turn] = 5000
    assert when(signals_of(strategy, bars(FALL_AND_RISE, volume=busy)))[0] == [turn]
    assert when(signals_of(strategy, bars(FALL_AND_RISE)))[0] == [], "without volume there is no entry"
    assert 59 < when(signals_of(strategy, bars(FALL_AND_RISE)))[1][-1] < 75


def test_momentum_wants_a_high_rsi():
    strategy = Momentum(minimum_rsi=90, rsi_period=5, volume_factor=0)
    assert when(signals_of(strategy, bars(FALL_AND_RISE)))[0] == []


RISING = np.linspace(100, 130, 40)
PULLED_BACK = [*RISING, 128, 126, 125, 128]


def test_trend_pullback_buys_when_the_pullback_turns():
    strategy = TrendPullback(channel=10, shallowest=0.3, deepest=0.9)
    assert when(signals_of(strategy, bars(PULLED_BACK))) == ([43], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"deepest": 0.4},  # the pullback went deeper
        {"shallowest": 0.88, "deepest": 0.95},  # ... and less deep
        {"volume_factor": 1.1},
        {"most_volatility": 0.01},
        {"least_volatility": 0.05},
        {"trend_timeframe": Timeframe.FIVE_MINUTES},
    ],
)
def test_trend_pullback_has_filters(changes: dict[str, object]):
    strategy = TrendPullback.model_validate({"channel": 10, "shallowest": 0.3, "deepest": 0.9, **changes})
    shown = bars(PULLED_BACK)
    if strategy.trend_timeframe:  # on minutes, of which too few are known for the average of longer ones
        shown = Bars(MINUTES.end[: len(shown)], shown.open, shown.high, shown.low, shown.close, shown.volume)
    assert when(signals_of(strategy, shown))[0] == []


def test_trend_pullback_with_a_longer_trend_takes_a_part_of_its_entries():
    alone = TrendPullback(channel=10, volume_factor=0)
    filtered = TrendPullback(channel=10, volume_factor=0, trend_timeframe=Timeframe.THIRTY_MINUTES, trend_period=5)
    all_entries, some = (set(when(signals_of(strategy, MINUTES))[0]) for strategy in (alone, filtered))
    assert some < all_entries
    assert some
    longer = MINUTES.resample(Timeframe.THIRTY_MINUTES)
    for bar in some:
        known = longer.close[longer.end <= MINUTES.end[bar]]
        assert MINUTES.close[bar] > known[-5:].mean()


def test_trend_pullback_leaves_below_the_channel():
    assert when(signals_of(TrendPullback(channel=10), bars([*RISING, 110, 109])))[1] == [40]


def test_range_bound_trades_between_yesterdays_low_and_high():
    signals = signals_of(RangeBound(zone=0.1, least_range=0), MINUTES)
    low, high = MINUTES.low[390:780].min(), MINUTES.high[390:780].max()
    entries = [bar for bar in when(signals)[0] if 780 <= bar < 1169]
    for bar in entries:
        assert low < MINUTES.close[bar]
        assert MINUTES.low[bar] <= low + 0.1 * (high - low)
    outside = (MINUTES.close >= high - 0.1 * (high - low)) | (MINUTES.close < low - 0.1 * (high - low))
    exits = [bar for bar in when(signals)[1] if 780 <= bar < 1169]
    assert exits == [bar for bar in range(780, 1169) if outside[bar] and (not outside[bar - 1] or bar == 780)]
    assert not signals.entry[:780].any(), "yesterday is not known yet"


def test_range_bound_leaves_narrow_ranges_alone():
    assert not signals_of(RangeBound(least_range=0.2), MINUTES).entry.any()


VALLEY = [105, 103, 101, 99, 101, 104, 107, 110, 107, 104, 101]


def test_level_based_buys_at_support_and_sells_at_resistance():
    strategy = LevelBased(span=2, tolerance=0.01, least_reward=0.02)
    #                                   support: low of 98.5 at bar 3 and 4, resistance: high of 110.5 at bar 7 and 8
    entries, exits = when(signals_of(strategy, bars([*VALLEY, 99, 100, 104, 109.5])))
    assert entries == [12], "the first bar that touched support and closed higher than it opened"
    assert exits == [14]


def test_level_based_knows_a_swing_point_only_when_it_is_confirmed():
    strategy = LevelBased(span=3, tolerance=0.05, least_reward=0)
    early = bars([105, 103, 101, 99, 100, 99.5, 100])
    assert not signals_of(strategy, early).entry.any()


def test_level_based_leaves_when_support_breaks_and_forgets_old_levels():
    broken = bars([*VALLEY, 100.5, 100, 99.5, 99, 96])
    assert when(signals_of(LevelBased(span=2), broken))[1] == [15]
    assert when(signals_of(LevelBased(span=2, longest=5), broken))[1] == []


FLAT = [100, 101, 100, 99] * 6


def test_breakout_buys_above_the_channel_on_volume_and_sells_below_the_shorter_one():
    volume = np.full(29, 1000.0)
    volume[24] = 2000
    closes = [*FLAT, 103, 104, 105, 104, 98]
    strategy = Breakout(channel=20, exit_channel=3)
    assert when(signals_of(strategy, bars(closes, volume=volume))) == ([24], [28])
    assert when(signals_of(strategy, bars(closes)))[0] == [], "without volume there is no entry"


@pytest.mark.parametrize(
    ("kind", "values", "complaint"),
    [
        (Momentum, {"fast": 26, "slow": 26}, "slow = 26 must be more than fast = 26"),
        (TrendPullback, {"shallowest": 0.8}, "deepest must be more than shallowest"),
        (TrendPullback, {"trend_timeframe": "5 secs"}, "trend_timeframe"),
        (RangeBound, {"zone": 0.5}, "less than 0.5"),
        (LevelBased, {"span": 0}, "greater than or equal to 1"),
        (Breakout, {"stop": None}, "target is set and stop is not"),
    ],
)
def test_parameters_are_bounded_and_must_fit_together(kind: type, values: dict[str, object], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        kind(**values)
