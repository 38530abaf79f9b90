"""Prices and Greeks of American options on one underlying without dividends.

Model: Black and Scholes with a constant rate of interest. A call without dividends is never exercised early, so its
price is the European one, exactly. A put's right to be exercised early is added in the quadratic approximation of
Barone-Adesi and Whaley, "Efficient Analytic Approximation of American Option Values" (Journal of Finance, 1987),
which meets intrinsic value smoothly at the critical price. Without interest both are European. Dividends are not
priced.

All functions take and return arrays of one shape, or scalars as arrays of none; years must be positive.
"""

from bisect import bisect_left
from dataclasses import dataclass
from math import erfc, exp, pi, sqrt

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
    deviation = volatility * np.sqrt(years)
    first = _first(spot / strike, years, deviation, rate)
    discounted = strike * np.exp(-rate * years)
    call = spot * normal(first) - discounted * normal(first - deviation)
    if right == "C":
        return np.maximum(call, np.maximum(spot - strike, 0.0))
    put = np.maximum(call + discounted - spot, 0.0)
    if rate > 0:
        put += _early_exercise(spot / strike, years, volatility, rate).premium * strike
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
    critical = np.clip(critical, endless, 1.0 - 1e-12)
    if critical.size > 2 * _NODE_TICKS:
        nodes = np.append(np.arange(0, critical.size - 1, _NODE_TICKS), critical.size - 1)
        solved = _critical(years[nodes], volatility[nodes], rate, exponent[nodes])
        critical = np.interp(np.arange(critical.size), nodes, solved)
    for _ in range(_NEWTON_STEPS):
        first = _first(critical, years, deviation, rate)
        above = normal(first)
        european = discount * normal(deviation - first) - critical * (1.0 - above)
        excess = european - critical * above / exponent - (1.0 - critical)
        growth = above * (1.0 - 1.0 / exponent) - density(first) / (deviation * exponent)
        moved = np.clip(critical - excess / growth, endless, 1.0)
        settled = bool(np.all(np.abs(moved - critical) < _SETTLED))
        critical = moved
        if settled:
            break
    return critical


def greeks(right: str, spot: float, strike: float, years: float, volatility: float, rate: float) -> Greeks:
    """Return value and sensitivities of one option.

    Delta and gamma are exact derivatives of `price`, and so are a call's vega and theta; a put's are central
    differences of it, because its critical price has no closed form.
    """
    root = sqrt(years)
    first = _first(np.asarray(spot / strike), np.asarray(years), np.asarray(volatility * root), rate)
    value = _one(right, spot, strike, years, volatility, rate)
    below, bell = float(normal(first)), float(density(first))
    gamma = bell / (spot * volatility * root)
    if right == "C":
        second = float(normal(first - volatility * root))
        decay = spot * bell * volatility / (2.0 * root) + rate * strike * exp(-rate * years) * second
        return Greeks(volatility, value, below, gamma, spot * bell * root / 100, -decay / DAYS, spot)
    delta = below - 1.0
    if rate > 0:
        early = _early_exercise(np.asarray(spot / strike), np.asarray(years), np.asarray(volatility), rate)
        if spot <= early.critical * strike:
            return Greeks(volatility, value, -1.0, 0.0, 0.0, 0.0, spot)
        power, premium = float(early.exponent), float(early.premium) * strike
        delta += power * premium / spot
        gamma += power * (power - 1.0) * premium / spot**2
    bump, wait = volatility * _RELATIVE_BUMP, years * _RELATIVE_BUMP
    levels = volatility + np.asarray([bump, -bump, 0.0, 0.0])
    times = years + np.asarray([0.0, 0.0, -wait, wait])
    values = price(right, np.full(4, spot), np.full(4, strike), times, levels, rate)
    vega, theta = float(values[0] - values[1]) / (2.0 * bump), float(values[2] - values[3]) / (2.0 * wait)
    return Greeks(volatility, value, delta, gamma, vega / 100, theta / DAYS, spot)


def _one(right: str, spot: float, strike: float, years: float, volatility: float, rate: float) -> float:
    return float(_at(right, spot, strike, years, np.asarray([volatility]), rate)[0])


def _at(right: str, spot: float, strike: float, years: float, volatilities: Floats, rate: float) -> Floats:
    """Return an option's value at each of several volatilities."""
    count = len(volatilities)
    return price(right, np.full(count, spot), np.full(count, strike), np.full(count, years), volatilities, rate)


def implied_volatility(right: str, spot: float, strike: float, years: float, value: float, rate: float) -> float | None:
    """Return the volatility at which an option is worth `value`, None if there is none between 0.1 % and 500 %.

    A bracket is cut into pieces of which one is kept, until it is as good as a straight line.
    """
    low, high, below, above = _LOWEST_VOLATILITY, _HIGHEST_VOLATILITY, 0.0, 0.0
    for _ in range(_CUTS):
        levels = np.linspace(low, high, _PIECES + 1)
        values = _at(right, spot, strike, years, levels, rate)
        if not values[0] - _ROUNDING <= value <= values[-1] + _ROUNDING:
            return None
        piece = min(max(bisect_left(values.tolist(), value), 1), _PIECES)
        low, high = float(levels[piece - 1]), float(levels[piece])
        below, above = float(values[piece - 1]), float(values[piece])
    share = (value - below) / (above - below) if above > below else 0.5
    return low + share * (high - low)
