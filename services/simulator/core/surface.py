"""The volatility surface of one underlying on one day, free of arbitrage by construction.

Model:
- Total variance (volatility squared times years) at log-moneyness k = ln(strike / forward) follows the SSVI surface of
  Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (Quantitative Finance, 2014), with the power law
  phi(theta) = eta / (theta^gamma (1 + theta)^(1 - gamma)). With gamma = 1/2 and eta (1 + |rho|) <= 2 it admits neither
  butterfly nor calendar arbitrage (their corollary 4.1 and remark 4.4). Here rho = -0.4 and eta = 0.9: a mild skew.
- At the money the variance decays from a short level to a long one at a rate of 4 a year, so that theta(T) grows.
- The short level is the volatility of the last 21 daily closes, the long one of the last 252, each drawn halfway to a
  base of 25 % a year and raised by 5 % (implied volatility exceeds realised); both between 8 % and 200 %, and the
  short one between half and twice the long one, without which long puts could cost less than short ones. Moves of
  more than a quarter in a day count as a quarter, so that a split does not look like a crash.
- It changes overnight only; during the day it moves with the price (sticky moneyness).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RHO, ETA = -0.4, 0.9
_REVERSION = 4.0
_SHORT_DAYS, _LONG_DAYS, YEARLY_DAYS = 21, 252, 252
_BASE, _PREMIUM, _LOWEST, _HIGHEST = 0.25, 1.05, 0.08, 2.0
_LARGEST_MOVE, _LARGEST_RATIO = 0.25, 2.0
SHORTEST = 1e-9
"""Years: what is left at the very moment of expiry, to keep divisions finite."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Yearly volatilities at the money: of the shortest and of the longest options."""

    short: float
    long: float

    def at_the_money_variance(self, years: Floats) -> Floats:
        """Return the total variance of an option at the money."""
        fading = -np.expm1(-_REVERSION * years) / _REVERSION
        return self.long**2 * years + (self.short**2 - self.long**2) * fading

    def volatility(self, log_moneyness: Floats, years: Floats) -> Floats:
        """Return the yearly implied volatility at ln(strike / forward), years > 0 to expiry."""
        theta = self.at_the_money_variance(years)
        scaled = log_moneyness * (ETA / np.sqrt(theta * (1.0 + theta)))
        variance = theta / 2.0 * (1.0 + RHO * scaled + np.sqrt((scaled + RHO) ** 2 + (1.0 - RHO**2)))
        return np.sqrt(variance / years)


def surface_of(closes: Sequence[float]) -> Surface:
    """Return the surface on the day after the last of `closes`, oldest first; any number of them, even none."""
    short, long = _level(closes[-_SHORT_DAYS - 1 :]), _level(closes[-_LONG_DAYS - 1 :])
    return Surface(min(long * _LARGEST_RATIO, max(long / _LARGEST_RATIO, short)), long)


def _level(closes: Sequence[float]) -> float:
    realised = realised_volatility(closes)
    blended = _BASE if realised is None else (realised + _BASE) / 2
    return min(_HIGHEST, max(_LOWEST, blended * _PREMIUM))


def realised_volatility(closes: Sequence[float]) -> float | None:
    """Return the yearly volatility of daily closes around zero drift, None of fewer than three."""
    if len(closes) < 3:
        return None
    moves = [max(-_LARGEST_MOVE, min(_LARGEST_MOVE, log(later / earlier))) for earlier, later in pairwise(closes)]
    return sqrt(sum(move * move for move in moves) / len(moves) * YEARLY_DAYS)
