"""Against published examples, recomputation and cases whose answer is plain."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from services.backtest.core.honesty import (
    Moments,
    expected_maximum_sharpe,
    judge_sharpe,
    moments,
    probabilistic_sharpe,
)
from services.backtest.core.model import Curve, ExitReason, Trade
from services.backtest.core.monte_carlo import shuffle_trades
from services.backtest.core.sensitivity import Sensitivity, spread_words
from services.backtest.core.walk_forward import FoldResult, WalkForward, make_folds, stitch
from shared.config import ConfigError
from shared.types import Side

DAY = datetime(2020, 1, 2, 21, tzinfo=UTC)


def _trades(*nets: float) -> list[Trade]:
    return [
        Trade(
            order_id=str(number), strategy="s", symbol="AAPL", side=Side.BUY, quantity=Decimal(1),
            opened_at=DAY + timedelta(days=number), entry_price=Decimal(100),
            closed_at=DAY + timedelta(days=number + 1),
            exit_price=Decimal(100), profit=Decimal(str(net)), commission=Decimal(0), mid_profit=Decimal(str(net)),
            reason=ExitReason.SIGNAL,
        )
        for number, net in enumerate(nets)
    ]  # fmt: skip


def _curve(*values: float) -> Curve:
    time = np.datetime64("2020-01-02T21:00", "us") + np.arange(len(values)) * np.timedelta64(1, "D")
    return Curve(time, np.array(values, dtype=np.float64), np.ones(len(values)), np.array(values, dtype=np.float64))


def test_the_probabilistic_sharpe_ratio_of_the_paper() -> None:
    """The hedge fund of "The Sharpe Ratio Efficient Frontier": 24 months, a monthly ratio of 0.458."""
    assert probabilistic_sharpe(Moments(24, 0.458, 0, 3)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(Moments(24, 0.458, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    """ "The Deflated Sharpe Ratio": yearly ratio 2.5 from 1250 days, skewness -3, kurtosis 10, variance 1/2 a year."""
    found = Moments(1250, 2.5 / math.sqrt(250), -3, 10)
    lucky = expected_maximum_sharpe(100, 0.5 / 250)
    assert lucky == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(found, lucky) == pytest.approx(0.9004, abs=5e-5)
    assert probabilistic_sharpe(found, expected_maximum_sharpe(46, 0.5 / 250)) == pytest.approx(0.9505, abs=5e-5)
    normal = Moments(1250, 2.5 / math.sqrt(250), 0, 3)
    assert probabilistic_sharpe(normal, expected_maximum_sharpe(88, 0.5 / 250)) == pytest.approx(0.9505, abs=5e-5)


def test_the_luckiest_of_many_worthless_strategies_is_no_find() -> None:
    lots = np.random.default_rng(7)
    worthless = lots.normal(0, 0.01, (200, 750))
    ratios = [float(row.mean() / row.std(ddof=1) * math.sqrt(252)) for row in worthless]
    luckiest = worthless[int(np.argmax(ratios))]
    alone, of_many = judge_sharpe(luckiest, [max(ratios)]), judge_sharpe(luckiest, ratios)
    assert alone.probabilistic_sharpe is not None
    assert alone.probabilistic_sharpe > 0.95, "by itself it looks like a find"
    assert of_many.lucky_sharpe == pytest.approx(max(ratios), rel=0.25)
    assert of_many.deflated_sharpe is not None
    assert of_many.deflated_sharpe < 0.95
    assert "NOT significant" in of_many.words[0]


def test_a_strategy_that_earns_is_significant_after_many_tries() -> None:
    earning = np.random.default_rng(7).normal(0.002, 0.01, 1500)
    found = judge_sharpe(earning, [*np.linspace(-0.5, 0.5, 99), 3.2])
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe > 0.95
    assert found.words[0].startswith("Significant")


def test_an_account_that_never_moved_has_no_ratio() -> None:
    assert moments(np.zeros(10)) is None
    found = judge_sharpe(np.zeros(10), [None, None])
    assert (found.trials, found.deflated_sharpe) == (2, None)


def test_sets_that_never_traded_count_as_tries() -> None:
    earning = np.random.default_rng(7).normal(0.001, 0.01, 500)
    with_idle = judge_sharpe(earning, [1.5, 0.5, None, None])
    assert with_idle.lucky_sharpe == judge_sharpe(earning, [1.5, 0.5, 0.0, 0.0]).lucky_sharpe


def test_moments_are_those_of_their_definition() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.0, -0.01])
    found = moments(returns)
    assert found is not None
    deviations = returns - returns.mean()
    spread = np.mean(deviations**2)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skewness == pytest.approx(np.mean(deviations**3) / spread**1.5)
    assert found.kurtosis == pytest.approx(np.mean(deviations**4) / spread**2)


def test_shuffled_trades_reach_the_same_value_by_other_ways() -> None:
    lots = shuffle_trades(_trades(100, 100, -100, -100), 1000, runs=500, seed=3)
    assert lots is not None
    growth = [1.1, 1200 / 1100, 1100 / 1200, 1000 / 1100]
    worst = 1 - growth[2] * growth[3]
    assert lots.observed_drawdown == pytest.approx(worst)
    assert lots.max_drawdowns[0] >= 1 - growth[2]  # a loss is a fall wherever it stands
    assert lots.max_drawdowns[-1] == pytest.approx(worst)
    assert lots.max_drawdowns[0] < worst
    assert 1000 * min(growth) ** 4 - 1e-6 <= lots.final_values[0] < 1000 < lots.final_values[-1]
    assert lots.percentiles(lots.final_values)[50] == pytest.approx(np.median(lots.final_values))


def test_the_same_seed_draws_the_same_lots() -> None:
    trades = _trades(*np.random.default_rng(1).normal(5, 50, 40))
    one, same, other = (shuffle_trades(trades, 10_000, runs=300, seed=seed) for seed in (1, 1, 2))
    assert one is not None and same is not None and other is not None  # noqa: PT018
    assert (one.max_drawdowns == same.max_drawdowns).all()
    assert (one.final_values != other.final_values).any()


def test_one_trade_has_no_order_to_shuffle() -> None:
    assert shuffle_trades(_trades(5), 1000, runs=10, seed=1) is None


def test_a_trade_that_takes_everything_ruins_every_order() -> None:
    lots = shuffle_trades(_trades(50, -2000, 50), 1000, runs=50, seed=1)
    assert lots is not None
    assert lots.max_drawdowns[0] == 1


@pytest.mark.parametrize("anchored", [False, True])
def test_folds_test_every_day_after_the_first_training_once(*, anchored: bool) -> None:
    first, last = date(2010, 1, 1), date(2019, 12, 31)
    folds = make_folds(first, last, folds=5, train_share=0.8, anchored=anchored)
    assert len(folds) == 5
    assert folds[0].train_first == first
    assert folds[-1].test_last == last
    for fold in folds:
        assert fold.train_first <= fold.train_last < fold.test_first <= fold.test_last
        assert fold.test_first - fold.train_last == timedelta(days=1), "no day is in both"
    for one, following in pairwise(folds):
        assert following.test_first - one.test_last == timedelta(days=1)
        assert (following.train_first == first) is anchored
    lengths = [(fold.train_last - fold.train_first).days for fold in folds]
    assert (max(lengths) - min(lengths) > 300) is anchored


def test_folds_need_days() -> None:
    with pytest.raises(ConfigError, match="3 days are too few for 9 folds"):
        make_folds(date(2020, 1, 1), date(2020, 1, 3), folds=9, train_share=0.8, anchored=False)


def test_stitching_carries_the_account_on() -> None:
    whole = stitch([_curve(100, 110), _curve(100, 90), _curve(100, 200)], 100)
    assert whole.value == pytest.approx([100, 110, 110, 99, 99, 198])
    assert whole.benchmark == pytest.approx(whole.value)
    assert len(whole.time) == len(whole.exposure) == 6


def test_walk_forward_says_what_was_promised_and_what_was_kept() -> None:
    (fold,) = make_folds(date(2020, 1, 1), date(2020, 12, 31), folds=1, train_share=0.5, anchored=False)
    results = (
        FoldResult(fold, {"fast": 2}, 2.0, 1.0),
        FoldResult(fold, {}, None, None),
        FoldResult(fold, {}, 1.0, -1.0),
    )
    words = WalkForward("sharpe", anchored=False, folds=results, curve=_curve(1, 1)).words()
    assert "1.50 in sample and 0.00 out of sample" in words


def _map(values: list[list[float]], *, higher_is_better: bool = True) -> str:
    grid = np.array(values)
    axes = [tuple(float(place) for place in range(length)) for length in (grid.shape[1], grid.shape[0])]
    return Sensitivity("sharpe", higher_is_better, "fast", "slow", *axes, grid, (1.0, 1.0)).words()


def test_a_plateau_is_told_from_a_peak() -> None:
    assert "8 of 8 neighbours" in _map([[0.9] * 3, [0.9, 1, 0.9], [0.9] * 3])
    assert "plateau" in _map([[0.9] * 3, [0.9, 1, 0.9], [0.9] * 3])
    assert "lone peak" in _map([[0.1] * 3, [0.1, 1, 0.1], [0.1] * 3])
    assert "slope" in _map([[0.9, 0.9, 0.9], [0.1, 1, 0.1], [0.1, 0.1, 0.9]])


def test_where_less_is_better_a_plateau_is_low() -> None:
    assert "plateau" in _map([[0.11] * 3, [0.11, 0.1, 0.11], [0.11] * 3], higher_is_better=False)
    assert "lone peak" in _map([[0.4] * 3, [0.4, 0.1, 0.4], [0.4] * 3], higher_is_better=False)


def test_neighbours_that_are_not_allowed_do_not_count() -> None:
    assert "2 of 2 neighbours" in _map([[np.nan] * 3, [0.9, 1, 0.9], [np.nan] * 3])
    assert "nothing beside it" in _map([[np.nan] * 3, [np.nan, 1, np.nan], [np.nan] * 3])


def test_the_spread_of_all_sets_in_words() -> None:
    words = spread_words("sharpe", [float(number) for number in range(101)], higher_is_better=True)
    assert (
        words
        == "sharpe of all 101 sets: eight in ten lie between 10.00 and 90.00, half are above 50.00, the best is 100.00."
    )
