"""How far a backtest can be believed: the Sharpe ratio against chance, against the search that found it, and more.

Ratios are annualised (252 sessions, risk-free 0) where they go in or out; the formulas work on daily ones.

Sources: Bailey and Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15 (2012), and "The Deflated
Sharpe Ratio", Journal of Portfolio Management 40 (2014).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, variance

import numpy as np

from services.backtest.core.monte_carlo import MonteCarlo
from services.backtest.core.returns import SESSIONS_A_YEAR
from services.backtest.core.sensitivity import Sensitivity
from services.backtest.core.walk_forward import WalkForward
from services.strategy.core.strategy import Floats

CONFIDENCE = 0.95
EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Honesty:
    """What a report says about its own credibility; None and empty where it was not looked into.

    `trials` parameter sets were tried to find this one. `lucky_sharpe` is the annualised Sharpe ratio that the best of
    so many worthless sets is expected to show. Both probabilities are 0 to 1: that the true Sharpe ratio is above 0,
    and that it is above `lucky_sharpe`. `words` are plain sentences.
    """

    trials: int | None = None
    probabilistic_sharpe: float | None = None
    lucky_sharpe: float | None = None
    deflated_sharpe: float | None = None
    monte_carlo: MonteCarlo | None = None
    walk_forward: WalkForward | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a series of `count` daily returns: its daily Sharpe ratio, skewness and kurtosis (3 for a normal one)."""

    count: int
    sharpe: float
    skewness: float
    kurtosis: float


def moments(returns: Floats) -> Moments | None:
    """None where they are undefined: fewer than two returns, or no deviation."""
    returns = returns[np.isfinite(returns)]
    if len(returns) < 2 or returns.std() < 1e-12:
        return None
    normed: Floats = (returns - returns.mean()) / returns.std()
    sharpe = returns.mean() / returns.std(ddof=1)
    return Moments(len(returns), float(sharpe), float(np.mean(normed**3)), float(np.mean(normed**4)))


def probabilistic_sharpe(of: Moments, benchmark: float = 0.0) -> float:
    """The probability, 0 to 1, that the true Sharpe ratio is above `benchmark`, a ratio of the same frequency."""
    error = 1 - of.skewness * of.sharpe + (of.kurtosis - 1) / 4 * of.sharpe**2
    return _NORMAL.cdf((of.sharpe - benchmark) * math.sqrt(of.count - 1) / math.sqrt(error))


def expected_maximum_sharpe(trials: int, spread: float) -> float:
    """What the best of `trials` worthless strategies shows; `spread` is the variance of the Sharpe ratios of all.

    Same frequency as the ratios. With one trial there was no choice, and it is 0.
    """
    if trials < 2:
        return 0.0
    best = _NORMAL.inv_cdf(1 - 1 / trials)
    beyond = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(spread) * ((1 - EULER_MASCHERONI) * best + EULER_MASCHERONI * beyond)


def judge_sharpe(returns: Floats, tried: Sequence[float | None]) -> Honesty:
    """Judge the daily returns of one set by the annualised Sharpe ratios of all sets tried, itself among them.

    None among `tried` is a set that never traded: it counts as a try, with the ratio 0.
    """
    found = moments(returns)
    if found is None:
        return Honesty(trials=len(tried), words=("The Sharpe ratio is undefined: the account never moved.",))
    daily = [(ratio or 0.0) / math.sqrt(SESSIONS_A_YEAR) for ratio in tried]
    lucky = expected_maximum_sharpe(len(daily), variance(daily) if len(daily) > 1 else 0.0)
    probable, deflated = probabilistic_sharpe(found), probabilistic_sharpe(found, lucky)
    lucky *= math.sqrt(SESSIONS_A_YEAR)
    return Honesty(len(tried), probable, lucky, deflated, words=(_verdict(len(tried), lucky, deflated),))


def _verdict(trials: int, lucky: float, deflated: float) -> str:
    chance = f"{deflated * 100:.1f} %"
    if trials < 2:
        significant = "That is significant." if deflated >= CONFIDENCE else "That is NOT significant: it may be chance."
        return f"The Sharpe ratio is above 0 with a probability of {chance}. {significant}"
    best = f"the best of {trials} worthless sets would be expected to show a Sharpe ratio of {lucky:.2f}"
    if deflated >= CONFIDENCE:
        return f"Significant: {best}, and this one is truly better with a probability of {chance}."
    return (
        f"NOT significant: {best}, and this one is truly better with a probability of only {chance}"
        f" (wanted: {CONFIDENCE * 100:.0f} %). It may be no more than the luckiest of many; do not trade it on this."
    )
