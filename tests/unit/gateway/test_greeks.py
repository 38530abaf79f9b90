"""The broker's Greeks where it tells them, else the model's from the quote."""

from datetime import UTC, date, datetime
from math import inf, nan

import numpy as np
import pytest

from services.gateway.core.greeks import Computation, computed, told
from shared import options
from shared.instruments import Instrument, parse
from shared.messages.market import GreeksSource

CALL, PUT = parse("AAPL  261218C00200000"), parse("AAPL  261218P00200000")
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
EXPIRES = datetime(2026, 12, 18, 21, 0, tzinfo=UTC)
YEARS = (EXPIRES - NOW).total_seconds() / (365 * 86_400)
WHOLE = {
    "implied_volatility": 0.25,
    "delta": -0.4,
    "gamma": 0.02,
    "vega": 0.2,
    "theta": -0.1,
    "underlying_price": 201.5,
}


def test_the_brokers_figures_are_taken_as_they_are() -> None:
    found = told(Computation(**WHOLE))
    assert found is not None
    assert found.model_dump(exclude={"source", "underlying_price"}) == {
        name: value for name, value in WHOLE.items() if name != "underlying_price"
    }
    assert str(found.underlying_price) == "201.5"
    assert found.source is GreeksSource.BROKER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("implied_volatility", -1.0),
        ("implied_volatility", 0.0),
        ("delta", -2.0),
        ("gamma", -2.0),
        ("vega", -2.0),
        ("underlying_price", -1.0),
        ("underlying_price", 0.0),
        ("theta", 1.7976931348623157e308),
        ("gamma", nan),
        ("vega", inf),
    ],
)
def test_what_the_broker_has_not_computed_is_no_figure(name: str, value: float) -> None:
    assert told(Computation(**(WHOLE | {name: value}))) is None


@pytest.mark.parametrize("option", [CALL, PUT], ids=["call", "put"])
@pytest.mark.parametrize("spot", [190.0, 200.0, 215.0])
def test_the_model_finds_the_volatility_that_made_the_price(option: Instrument, spot: float) -> None:
    assert option.right is not None
    value = float(
        options.price(option.right.value, np.asarray(spot), np.asarray(200.0), np.asarray(YEARS), np.asarray(0.3), 0.04)
    )
    found = computed(option, value, spot, NOW, 0.04)
    assert found is not None
    assert found.source is GreeksSource.MODEL
    assert found.implied_volatility == pytest.approx(0.3, abs=1e-4)
    (expected,) = options.greeks(option.right.value, spot, 200.0, YEARS, [0.3], 0.04)
    assert found.delta == pytest.approx(expected.delta, abs=1e-3)
    assert found.vega == pytest.approx(expected.vega, rel=1e-2)
    assert found.theta == pytest.approx(expected.theta, rel=1e-2)
    assert float(found.underlying_price) == spot


def test_no_figures_for_what_the_model_cannot_price() -> None:
    assert computed(CALL, 5.0, 210.0, NOW, 0.04) is None, "worth less than exercising it at once"
    assert computed(CALL, 300.0, 210.0, NOW, 0.04) is None, "worth more than the stock"
    assert computed(CALL, 12.0, 210.0, EXPIRES, 0.04) is None, "expired"
    assert computed(CALL, 0.0, 210.0, NOW, 0.04) is None
    assert computed(CALL, 12.0, 0.0, NOW, 0.04) is None
    assert computed(parse("AAPL"), 12.0, 210.0, NOW, 0.04) is None


def test_options_expire_at_the_close_of_a_short_day() -> None:
    short = parse("AAPL  261127C00200000")
    assert short.expiry == date(2026, 11, 27)
    closes = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert computed(short, 0.5, 200.0, closes.replace(hour=17), 0.04) is not None
    assert computed(short, 0.5, 200.0, closes, 0.04) is None


def test_an_expiry_beyond_the_calendar_is_priced_too() -> None:
    assert computed(parse("AAPL  281215C00200000"), 40.0, 210.0, NOW, 0.04) is not None
