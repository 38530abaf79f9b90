"""Option prices: the model and the volatility surface, which must offer no arbitrage."""

from math import erf, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.simulator.core.surface import Surface, realised_volatility, surface_of
from shared import options

RATES = st.sampled_from([0.0, 0.0001, 0.01, 0.05, 0.15])
YEARS = st.floats(0.002, 3)
VOLATILITIES = st.floats(0.08, 2)
MONEYNESS = st.floats(-0.7, 0.7)
RIGHTS = st.sampled_from("CP")
SURFACES = st.builds(lambda long, ratio: Surface(long * ratio, long), st.floats(0.08, 1), st.floats(0.5, 2))


def value(right: str, spot: float, strike: float, years: float, volatility: float, rate: float) -> float:
    arrays = (np.asarray([number]) for number in (spot, strike, years, volatility))
    return float(options.price(right, *arrays, rate)[0])


def binomial(right: str, spot: float, strike: float, years: float, volatility: float, rate: float) -> float:
    """American value on a tree of Cox, Ross and Rubinstein: slow and independent of what is tested."""
    steps = 1000
    up = exp(volatility * sqrt(years / steps))
    discount = exp(-rate * years / steps)
    chance = (1 / discount - 1 / up) / (up - 1 / up)
    sign = 1.0 if right == "C" else -1.0
    prices = spot * up ** np.arange(-steps, steps + 1, 2.0)
    values = np.maximum(sign * (prices - strike), 0.0)
    for step in range(steps - 1, -1, -1):
        prices = spot * up ** np.arange(-step, step + 1, 2.0)
        values = discount * (chance * values[1:] + (1 - chance) * values[:-1])
        values = np.maximum(values, sign * (prices - strike))
    return float(values[0])


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize("strike", [70.0, 90.0, 100.0, 115.0, 150.0])
@pytest.mark.parametrize(("years", "volatility", "rate"), [(0.1, 0.3, 0.0), (0.5, 0.25, 0.05), (2.0, 0.4, 0.02)])
def test_price_agrees_with_a_tree(right: str, strike: float, years: float, volatility: float, rate: float) -> None:
    expected = binomial(right, 100.0, strike, years, volatility, rate)
    assert value(right, 100.0, strike, years, volatility, rate) == pytest.approx(expected, rel=0.006, abs=0.05)


def test_call_is_the_formula_of_black_and_scholes() -> None:
    first = (log(100 / 95) + (0.03 + 0.35**2 / 2) * 0.75) / (0.35 * sqrt(0.75))
    second = first - 0.35 * sqrt(0.75)
    expected = 100 * (1 + erf(first / sqrt(2))) / 2 - 95 * exp(-0.03 * 0.75) * (1 + erf(second / sqrt(2))) / 2
    assert value("C", 100, 95, 0.75, 0.35, 0.03) == pytest.approx(expected, abs=1e-12)


@given(RIGHTS, MONEYNESS, YEARS, VOLATILITIES, RATES)
def test_greeks_agree_with_finite_differences(
    right: str, moneyness: float, years: float, volatility: float, rate: float
) -> None:
    spot, strike = 100.0, 100.0 * exp(moneyness)
    (found,) = options.greeks(right, spot, strike, years, [volatility], rate)
    step = 0.01 * volatility * sqrt(years) * spot
    low, middle, high = (value(right, spot + move, strike, years, volatility, rate) for move in (-step, 0.0, step))
    # a step across the critical price of a put, where gamma jumps, is off by half the jump at most
    critical = right == "P" and low - (strike - spot + step) < 0.02
    slack = 0.02 if critical else 1e-3
    assert found.price == pytest.approx(middle, abs=1e-9)
    assert found.delta == pytest.approx((high - low) / (2 * step), abs=slack)
    if not critical:
        assert found.gamma == pytest.approx((high - 2 * middle + low) / step**2, rel=0.01, abs=1e-6)
    bump = 1e-4
    above, below = (value(right, spot, strike, years, volatility + move, rate) for move in (bump, -bump))
    assert found.vega == pytest.approx((above - below) / (2 * bump) / 100, rel=0.02, abs=2e-5)
    wait = years * 1e-4
    sooner, later = (value(right, spot, strike, years + move, volatility, rate) for move in (-wait, wait))
    assert found.theta == pytest.approx((sooner - later) / (2 * wait) / 365, rel=0.02, abs=2e-5)


@given(RIGHTS, st.floats(-0.3, 0.3), st.floats(0.02, 2), st.floats(0.1, 1.5), RATES)
def test_implied_volatility_gives_the_price_back(
    right: str, moneyness: float, years: float, volatility: float, rate: float
) -> None:
    strike = 100 * exp(moneyness)
    wanted = value(right, 100, strike, years, volatility, rate)
    (found,) = options.implied_volatilities(right, 100, strike, years, [wanted], rate)
    assert found is not None
    assert value(right, 100, strike, years, found, rate) == pytest.approx(wanted, abs=1e-5)


@given(RIGHTS, st.floats(-0.3, 0.3), st.floats(0.02, 2), st.floats(0.1, 1.5), RATES)
def test_what_is_computed_together_is_the_same_as_alone(
    right: str, moneyness: float, years: float, volatility: float, rate: float
) -> None:
    strike, levels = 100 * exp(moneyness), [volatility, volatility * 1.01, 0.05, 3.0]
    together = options.greeks(right, 100, strike, years, levels, rate)
    assert together == [options.greeks(right, 100, strike, years, [one], rate)[0] for one in levels]
    prices = [found.price for found in together]
    alone = [options.implied_volatilities(right, 100, strike, years, [one], rate)[0] for one in prices]
    assert options.implied_volatilities(right, 100, strike, years, prices, rate) == alone


def test_price_outside_of_what_any_volatility_gives_has_none() -> None:
    assert options.implied_volatilities("C", 100, 90, 0.5, [9.0], 0.01) == [None], "below intrinsic value"
    assert options.implied_volatilities("P", 100, 90, 0.5, [95.0], 0.01) == [None], "above the strike"


@given(SURFACES, RIGHTS, YEARS, RATES, st.floats(5, 2000))
def test_model_prices_are_monotone_and_convex_in_strike(
    surface: Surface, right: str, years: float, rate: float, spot: float
) -> None:
    strikes = spot * np.linspace(0.4, 1.9, 151)
    left, at = np.full(len(strikes), years), np.full(len(strikes), spot)
    volatility = surface.volatility(np.log(strikes / at) - rate * years, left)
    prices = options.price(right, at, strikes, left, volatility, rate)
    slopes = np.diff(prices) / np.diff(strikes)
    assert (prices >= np.maximum((1 if right == "C" else -1) * (at - strikes), 0)).all()
    if right == "C":
        assert (slopes <= 1e-9).all()
        assert (slopes >= -1 - 1e-9).all()
    else:
        assert (slopes >= -1e-9).all()
        assert (slopes <= 1 + 1e-6).all()
    assert (np.diff(slopes) >= -1e-4).all(), "convex: a butterfly costs nothing or something"


@given(SURFACES, RIGHTS, st.floats(0.003, 2), st.floats(1.01, 20), RATES, MONEYNESS)
def test_model_prices_grow_with_time(
    surface: Surface, right: str, years: float, longer: float, rate: float, moneyness: float
) -> None:
    left, spot = np.asarray([years, years * longer]), np.full(2, 100.0)
    strike = np.full(2, 100 * exp(moneyness))
    volatility = surface.volatility(np.log(strike / spot) - rate * left, left)
    early, late = options.price(right, spot, strike, left, volatility, rate).tolist()
    assert late >= early - 0.005, "less than half a cent: a calendar spread is worth something"


@given(SURFACES, YEARS, RATES, MONEYNESS)
def test_parity_holds_within_the_american_bounds(surface: Surface, years: float, rate: float, moneyness: float) -> None:
    strike = 100 * exp(moneyness)
    volatility = float(surface.volatility(np.asarray(moneyness - rate * years), np.asarray(years)))
    call, put = (value(right, 100, strike, years, volatility, rate) for right in "CP")
    assert 100 - strike - 1e-6 <= call - put <= 100 - strike * exp(-rate * years) + 1e-6


def test_surface_follows_what_the_stock_has_done() -> None:
    calm = [100 * 1.004 ** (number % 2) for number in range(260)]
    wild = [100 * 1.04 ** (number % 2) for number in range(260)]
    lately_wild = calm[:-21] + wild[-21:]
    assert surface_of(calm).long < surface_of(wild).long
    assert surface_of(lately_wild).short > surface_of(lately_wild).long
    assert surface_of([]) == surface_of([100.0, 101.0]) == Surface(0.2625, 0.2625)
    split = [100.0] * 30 + [50.0] * 30
    assert realised_volatility(split) == pytest.approx(0.25 * sqrt(252 / 59))
    level = Surface(0.3, 0.3).volatility(np.asarray([-0.3, 0.0, 0.1]), np.full(3, 0.25))
    assert level[0] > level[1] > level[2], "puts below the money are dearer than calls above"
    assert level[1] == pytest.approx(0.3)


@given(st.floats(0.01, 400), st.floats(0.005, 2))
@example(100.0, 1e-9)
def test_value_is_finite_whatever_is_asked(strike: float, years: float) -> None:
    for right in "CP":
        for volatility in (0.001, 5.0):
            assert 0 <= value(right, 100, strike, years, volatility, 0.05) <= max(100, strike)
