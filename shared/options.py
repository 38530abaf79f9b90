"""Prices and Greeks of American options on one underlying without dividends.

Model: Black and Scholes with a constant rate of interest. A call without dividends is never exercised early, so its
price is the European one, exactly. A put's right to be exercised early is added in the quadratic approximation of
Barone-Adesi and Whaley, "Efficient Analytic Approximation of American Option Values" (Journal of Finance, 1987),
which meets intrinsic value smoothly at the critical price. Without interest both are European. Dividends are not
priced.

Prices take and return arrays of one shape, or that broadcast to one, or scalars as arrays of none; years must be
positive. What the last axis of an array holds is solved together; one row of an array has no influence on another.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAYS = 365.0
"""Days in a year, for options' time."""
_NEWTON_STEPS, _NODE_TICKS = 30, 16
_SETTLED = 1e-6
"""A last step smaller than this leaves an error of about its square."""
_RELATIVE_BUMP = 1e-4
_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY = 0.001, 5.0
_CUTS, _PIECES, _ROUNDING = 4, 24, 1e-9


def normal(values: Floats) -> Floats:
    """Return the standard normal distribution, to double precision."""
    scaled = np.asarray(values, np.float64) * -sqrt(0.5)
    flat = np.fromiter(map(erfc, scaled.ravel().tolist()), np.float64, scaled.size)
    return (flat * 0.5).reshape(scaled.shape)


def density(values: Floats) -> Floats:
    return np.exp(values * values * -0.5) / sqrt(2.0 * pi)


@dataclass(frozen=True, slots=True)
class Greeks:
    """One option's value and sensitivities, in USD per share: `vega` per 0.01 of volatility, `theta` per day."""

    volatility: float
    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    underlying: float


def price(right: str, spot: Floats, strike: Floats, years: Floats, volatility: Floats, rate: float) -> Floats:
    """Return the value of options on an underlying at `spot` (USD). `right` is C or P; `rate` is 0 or more."""
    early = _early_exercise(spot / strike, years, volatility, rate) if right == "P" and rate > 0 else None
    return _price(right, spot, strike, years, volatility, rate, early)


def _price(
    right: str,
    spot: Floats,
    strike: Floats,
    years: Floats,
    volatility: Floats,
    rate: float,
    early: "_EarlyExercise | None",
) -> Floats:
    deviation = volatility * np.sqrt(years)
    first = _first(spot / strike, years, deviation, rate)
    discounted = strike * np.exp(-rate * years)
    call = spot * normal(first) - discounted * normal(first - deviation)
    if right == "C":
        return np.maximum(call, np.maximum(spot - strike, 0.0))
    put = np.maximum(call + discounted - spot, 0.0)
    if early is not None:
        put += early.premium * strike
    return np.maximum(put, np.maximum(strike - spot, 0.0))


def _first(relative: Floats, years: Floats, deviation: Floats, rate: float) -> Floats:
    """Return d1 of the formula of Black and Scholes, for the price as a share of the strike."""
    return (np.log(relative) + rate * years) / deviation + deviation * 0.5


@dataclass(frozen=True, slots=True)
class _EarlyExercise:
    """What the right to exercise early adds to a put of strike 1: `premium` is a power of the price with `exponent`.

    At and below `critical`, as a share of the strike, the put is worth its intrinsic value and `premium` is moot.
    """

    critical: Floats
    exponent: Floats
    premium: Floats


def _early_exercise(relative: Floats, years: Floats, volatility: Floats, rate: float) -> _EarlyExercise:
    ratio = 2.0 * rate / volatility**2
    exponent = (1.0 - ratio - np.sqrt((ratio - 1.0) ** 2 - 4.0 * ratio / np.expm1(-rate * years))) / 2.0
    critical = _critical(years, volatility, rate, exponent)
    above = normal(_first(critical, years, volatility * np.sqrt(years), rate))
    scale = critical * above / -exponent
    return _EarlyExercise(critical, exponent, scale * np.maximum(relative / critical, 1.0) ** exponent)


def _critical(years: Floats, volatility: Floats, rate: float, exponent: Floats) -> Floats:
    """Return the price at and below which a put of strike 1 is exercised.

    Newton's method on the condition that value meets intrinsic value smoothly, whose left side grows with the price,
    from the start that the authors give; for a whole tape, from between the solutions at some of its ticks.
    """
    ratio, deviation, discount = 2.0 * rate / volatility**2, volatility * np.sqrt(years), np.exp(-rate * years)
    endless = ratio / (1.0 + ratio)
    critical = endless + (1.0 - endless) * np.exp(np.minimum((rate * years - 2.0 * deviation) * ratio, 0.0))
    critical = np.minimum(np.maximum(critical, endless), 1.0 - 1e-12)
    if critical.ndim == 1 and critical.size > 2 * _NODE_TICKS:
        nodes = np.append(np.arange(0, critical.size - 1, _NODE_TICKS), critical.size - 1)
        solved = _critical(years[nodes], volatility[nodes], rate, exponent[nodes])
        critical = np.interp(np.arange(critical.size), nodes, solved)
    carry, half, slope, steepness = rate * years, deviation * 0.5, 1.0 - 1.0 / exponent, deviation * exponent
    settled = np.asarray(False)
    for _ in range(_NEWTON_STEPS):
        first = (np.log(critical) + carry) / deviation + half
        above = normal(first)
        european = discount * normal(deviation - first) - critical * (1.0 - above)
        excess = european - critical * above / exponent - (1.0 - critical)
        growth = above * slope - density(first) / steepness
        moved = np.minimum(np.maximum(critical - excess / growth, endless), 1.0)
        settling = np.asarray(np.abs(moved - critical) < _SETTLED).all(axis=-1, keepdims=True)
        critical = np.where(settled, critical, moved)
        settled = settled | settling
        if settled.all():
            break
    return critical


def greeks(
    right: str, spot: float, strike: float, years: float, volatilities: Sequence[float], rate: float
) -> list[Greeks]:
    """Return value and sensitivities of one option at each of some volatilities.

    Delta and gamma are exact derivatives of `price`, and so are a call's vega and theta; a put's are central
    differences of it, because its critical price has no closed form.
    """
    volatility = np.asarray(volatilities, np.float64)[:, np.newaxis]
    columns = (_call_greeks if right == "C" else _put_greeks)(
        np.asarray(spot), np.asarray(strike), np.asarray(years), volatility, rate
    )
    rows = zip(volatilities, *(column.ravel().tolist() for column in columns), strict=True)
    return [Greeks(*row, underlying=spot) for row in rows]


def _call_greeks(spot: Floats, strike: Floats, years: Floats, volatility: Floats, rate: float) -> Sequence[Floats]:
    """Return value, delta, gamma, vega and theta."""
    root = np.sqrt(years)
    first = _first(spot / strike, years, volatility * root, rate)
    value = _price("C", spot, strike, years, volatility, rate, None)
    bell, second = density(first), normal(first - volatility * root)
    decay = spot * bell * volatility / (2.0 * root) + rate * strike * np.exp(-rate * years) * second
    return value, normal(first), bell / (spot * volatility * root), spot * bell * root / 100, -decay / DAYS


def _put_greeks(spot: Floats, strike: Floats, years: Floats, volatility: Floats, rate: float) -> Sequence[Floats]:
    """Return value, delta, gamma, vega and theta."""
    root = np.sqrt(years)
    first = _first(spot / strike, years, volatility * root, rate)
    early = _early_exercise(spot / strike, years, volatility, rate) if rate > 0 else None
    value = _price("P", spot, strike, years, volatility, rate, early)
    delta, gamma = normal(first) - 1.0, density(first) / (spot * volatility * root)
    bump, wait = volatility * _RELATIVE_BUMP, years * _RELATIVE_BUMP
    levels = volatility + bump * np.asarray([1.0, -1.0, 0.0, 0.0])
    times = years + wait * np.asarray([0.0, 0.0, -1.0, 1.0])
    values = price("P", spot, strike, times, levels, rate)
    vega = (values[:, :1] - values[:, 1:2]) / (2.0 * bump) / 100
    theta = (values[:, 2:3] - values[:, 3:]) / (2.0 * wait) / DAYS
    if early is None:
        return value, delta, gamma, vega, theta
    power, premium = early.exponent, early.premium * strike
    delta = delta + power * premium / spot
    gamma = gamma + power * (power - 1.0) * premium / spot**2
    exercised = spot <= early.critical * strike
    moot = ((delta, -1.0), (gamma, 0.0), (vega, 0.0), (theta, 0.0))
    return value, *(np.where(exercised, fixed, column) for column, fixed in moot)


class _Bracket(NamedTuple):
    """Two volatilities, and an option's value at each."""

    low: float
    high: float
    below: float = 0.0
    above: float = 0.0

    def volatility(self, value: float) -> float:
        """Return where a straight line between the two meets `value`."""
        share = (value - self.below) / (self.above - self.below) if self.above > self.below else 0.5
        return self.low + share * (self.high - self.low)


def implied_volatilities(
    right: str, spot: float, strike: float, years: float, values: Sequence[float], rate: float
) -> list[float | None]:
    """Return the volatilities at which an option is worth `values`, None where there is none from 0.1 % to 500 %.

    A bracket is cut into pieces of which one is kept, until it is as good as a straight line. Values that lie close
    together, such as bid and ask, have most cuts in common.
    """
    brackets = dict.fromkeys(values, _Bracket(_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY))
    for _ in range(_CUTS):
        distinct = list(dict.fromkeys(brackets.values()))
        levels = _levels(distinct)
        worth = price(right, np.asarray(spot), np.asarray(strike), np.asarray(years), levels, rate)
        cuts = dict(zip(distinct, zip(levels.tolist(), worth.tolist(), strict=True), strict=True))
        pieces = {value: _piece(*cuts[bracket], value) for value, bracket in brackets.items()}
        brackets = {value: piece for value, piece in pieces.items() if piece is not None}
    return [brackets[value].volatility(value) if value in brackets else None for value in values]


def _levels(brackets: Sequence[_Bracket]) -> Floats:
    """Return the ends of the pieces, a row for each bracket."""
    ends = np.asarray([(one.low, one.high) for one in brackets], np.float64).reshape(-1, 2)
    low, high = ends[:, :1], ends[:, 1:]
    return np.concatenate((np.arange(_PIECES) * ((high - low) / _PIECES) + low, high), axis=1)


def _piece(levels: Sequence[float], worth: Sequence[float], value: float) -> _Bracket | None:
    if not worth[0] - _ROUNDING <= value <= worth[-1] + _ROUNDING:
        return None
    index = min(max(bisect_left(worth, value), 1), _PIECES)
    return _Bracket(levels[index - 1], levels[index], worth[index - 1], worth[index])
