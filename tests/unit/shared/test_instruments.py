"""Names of instruments."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.instruments import Instrument, option, parse
from shared.types import Right, SecurityType

NAMES = {
    "AAPL": Instrument(SecurityType.STOCK, "AAPL"),
    "BRK B": Instrument(SecurityType.STOCK, "BRK B"),
    "^SPX": Instrument(SecurityType.INDEX, "SPX"),
    "/ESZ6": Instrument(SecurityType.FUTURE, "", local_symbol="ESZ6"),
    "EUR.USD": Instrument(SecurityType.CURRENCY, "EUR", currency="USD"),
    "AAPL  261218C00202500": option("AAPL", date(2026, 12, 18), Right.CALL, Decimal("202.5")),
}


@pytest.mark.parametrize(("name", "instrument"), NAMES.items(), ids=list(NAMES))
def test_a_name_and_its_instrument(name: str, instrument: Instrument) -> None:
    assert parse(name) == instrument
    assert instrument.name == name


@given(
    underlying=st.from_regex(r"[A-Z]{1,6}", fullmatch=True),
    expiry=st.dates(date(2000, 1, 1), date(2068, 12, 31)),
    right=st.sampled_from(Right),
    thousandths=st.integers(1, 10**8 - 1),
)
def test_every_option_reads_back(underlying: str, expiry: date, right: Right, thousandths: int) -> None:
    made = option(underlying, expiry, right, Decimal(thousandths) / 1000)
    assert parse(made.name) == made
    assert len(made.name) == 21


@pytest.mark.parametrize("name", ["", "aapl", "^", "/", "AAPL  261332C00200000", "AAPL  261218X00200000", "A-B"])
def test_what_is_no_name_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"symbol") as refusal:
        parse(name)
    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize("strike", ["0", "-1", "100000", "1.2345"])
def test_a_strike_that_no_symbol_can_hold_is_refused(strike: str) -> None:
    with pytest.raises(ValueError, match="strike"):
        option("AAPL", date(2026, 12, 18), Right.PUT, Decimal(strike))
