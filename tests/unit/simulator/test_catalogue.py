"""What is listed: names, ids, expiries and strikes, and how clients find them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings
from services.simulator.core.calendars import third_friday, weekly_expiry
from services.simulator.core.catalogue import Catalogue, ContractQuery, index, pair, stock
from services.simulator.core.chains import STRIKES, Chains
from services.simulator.core.futures import Futures
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from shared import calendar

START, END = date(2012, 3, 1), date(2012, 12, 31)
NOW = datetime(2012, 6, 1, 15, tzinfo=UTC)
SYMBOLS = ["AAPL", "IBM", "FB"]


@pytest.fixture(scope="module")
def market() -> Market:
    settings = Settings(start=START, end=END, warmup_days=500, futures=("ES", "NQ"), currencies=("EUR.USD", "GBP.USD"))
    return load_market(settings, SYMBOLS)


@pytest.fixture(scope="module")
def catalogue(market: Market) -> Catalogue:
    return market.catalogue


def names(found: list[Instrument]) -> list[str]:
    return [instrument.local_symbol for instrument in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ContractQuery(symbol="AAPL", security_type="STK", exchange="SMART", currency="USD"), ["AAPL"]),
        (ContractQuery(symbol="AAPL", security_type="STK", exchange="ARCA", primary_exchange="NASDAQ"), ["AAPL"]),
        (ContractQuery(local_symbol="IBM", security_type="STK"), ["IBM"]),
        (ContractQuery(contract_id=265598), ["AAPL"]),
        (ContractQuery(contract_id=265598, symbol="IBM"), ["AAPL"]),
        (ContractQuery(symbol="SPX", security_type="IND", exchange="CBOE"), ["SPX"]),
        (ContractQuery(symbol="EUR", security_type="CASH", currency="USD", exchange="IDEALPRO"), ["EUR.USD"]),
        (ContractQuery(local_symbol="GBP.USD", security_type="CASH"), ["GBP.USD"]),
        (ContractQuery(symbol="ES", security_type="FUT", expiry="201206"), ["ESM2"]),
        (ContractQuery(symbol="NQ", security_type="FUT", expiry="20120921", exchange="CME"), ["NQU2"]),
        (ContractQuery(local_symbol="ESZ2", security_type="FUT"), ["ESZ2"]),
        (ContractQuery(symbol="ES", security_type="FUT"), ["ESM2", "ESU2", "ESZ2", "ESH3", "ESM3"]),
        (ContractQuery(symbol="AAPL", security_type="STK", currency="EUR"), []),
        (ContractQuery(symbol="AAPL", security_type="STK", exchange="LSE"), []),
        (ContractQuery(symbol="AAPL"), []),
        (ContractQuery(symbol="MSFT", security_type="STK"), []),
        (ContractQuery(security_type="STK"), []),
        (ContractQuery(contract_id=12345), []),
        (ContractQuery(symbol="IBM", security_type="OPT", expiry="20120616"), []),
        (ContractQuery(symbol="IBM", security_type="OPT", expiry="20120615", strike=Decimal("190.5")), []),
        (ContractQuery(symbol="IBM", security_type="OPT", expiry="20120615", right="X"), []),
        (ContractQuery(symbol="IBM", security_type="OPT", expiry="20120615", multiplier="10"), []),
        (ContractQuery(local_symbol="nonsense", security_type="OPT"), []),
    ],
)
def test_find(catalogue: Catalogue, query: ContractQuery, expected: list[str]) -> None:
    assert names(catalogue.find(query, NOW)) == expected


@pytest.mark.parametrize("right", ["C", "CALL", "P", "PUT"])
def test_option_is_found_by_its_terms_and_by_its_names(catalogue: Catalogue, right: str) -> None:
    query = ContractQuery(
        symbol="IBM", security_type="OPT", expiry="20120615", strike=Decimal(190), right=right, multiplier="100"
    )
    (option,) = catalogue.find(query, NOW)
    assert option.local_symbol == f"IBM   120615{right[0]}00190000"
    assert (option.expiry, option.strike, option.right) == (date(2012, 6, 15), 190, right[0])
    assert (option.multiplier, option.underlying_id, option.trading_class) == (100, 8314, "IBM")
    assert catalogue.find(ContractQuery(local_symbol=option.local_symbol, security_type="OPT"), NOW) == [option]
    assert catalogue.find(ContractQuery(contract_id=option.contract_id), NOW) == [option]
    assert catalogue.by_id(option.contract_id) == option


def test_chain_has_weeklies_monthlies_and_januaries(catalogue: Catalogue) -> None:
    chains = catalogue.chain(8314, NOW)
    assert [chain.exchange for chain in chains] == ["SMART", "CBOE", "ISE", "AMEX", "PHLX", "BOX"]
    assert chains[0].expiries == tuple(
        map(
            date.fromisoformat,
            ("2012-06-01", "2012-06-08", "2012-06-15", "2012-06-22", "2012-06-29", "2012-07-06", "2012-07-20",
             "2012-08-17", "2012-09-21", "2012-10-19", "2012-11-16", "2013-01-18", "2014-01-17"),
        )
    )  # fmt: skip
    assert {Decimal(150), Decimal(190), Decimal("202.5"), Decimal(220)} <= set(chains[0].strikes)
    assert list(chains[0].strikes) == sorted(set(chains[0].strikes))
    found = catalogue.find(ContractQuery(symbol="IBM", security_type="OPT"), NOW)
    assert {option.expiry for option in found} == set(chains[0].expiries)
    assert {option.strike for option in found} == set(chains[0].strikes)
    assert len({option.contract_id for option in found}) == len(found)
    assert catalogue.chain(416904, NOW) == [], "an index has no chain here"


def test_listed_strike_never_disappears_before_expiry(market: Market) -> None:
    strikes: set[Decimal] = set()
    query = ContractQuery(symbol="AAPL", security_type="OPT", expiry="20121116", right="C")
    for session in market.sessions:
        if session.day > date(2012, 11, 16):
            break
        listed = {option.strike for option in market.catalogue.find(query, session.open)}
        assert strikes <= listed
        strikes = listed
    assert len(strikes) > 100


def test_new_stock_gets_options_with_its_first_price(catalogue: Catalogue) -> None:
    query = ContractQuery(symbol="FB", security_type="OPT")
    assert catalogue.find(query, datetime(2012, 5, 17, 15, tzinfo=UTC)) == []
    first = catalogue.find(query, datetime(2012, 5, 18, 15, tzinfo=UTC))
    assert {option.right for option in first} == {"C", "P"}
    assert min(option.strike for option in first) < Decimal("42.05") < max(option.strike for option in first)


def test_expired_contracts_are_found_when_asked_for(catalogue: Catalogue) -> None:
    week = ContractQuery(symbol="IBM", security_type="OPT", expiry="20120525", right="C", strike=Decimal(190))
    assert catalogue.find(week, NOW) == []
    (expired,) = catalogue.find(
        ContractQuery(
            symbol="IBM", security_type="OPT", expiry="20120525", right="C", strike=Decimal(190), include_expired=True
        ),
        NOW,
    )
    assert expired.expiry == date(2012, 5, 25)
    assert catalogue.find(ContractQuery(contract_id=expired.contract_id), NOW) == []
    assert catalogue.by_id(expired.contract_id) == expired
    future = ContractQuery(symbol="ES", security_type="FUT", expiry="201203", include_expired=True)
    assert names(catalogue.find(future, NOW)) == ["ESH2"]


def test_ids_are_the_same_in_another_run_and_fit_into_32_bits(market: Market) -> None:
    settings = Settings(start=START, end=END, warmup_days=500, futures=("ES", "NQ"), currencies=("EUR.USD", "GBP.USD"))
    again = load_market(settings, SYMBOLS).catalogue
    query = ContractQuery(symbol="AAPL", security_type="OPT", expiry="201301")
    found = market.catalogue.find(query, NOW)
    assert found
    assert all(again.by_id(option.contract_id) == option for option in found)
    assert max(option.contract_id for option in found) < 2**31


@given(st.integers(0, 20), st.integers(0, 800), st.sampled_from(STRIKES), st.sampled_from("CP"))
def test_option_ids_are_told_apart(number: int, week: int, strike: Decimal, right: str) -> None:
    stocks = [stock(f"S{one}") for one in range(21)]
    chains = Chains(stocks, date(2000, 1, 1), date(2016, 1, 1), lambda *_: None)
    friday = date(2000, 1, 7) + timedelta(days=7 * week)
    option = chains.option(stocks[number], friday, strike, right)
    assert (option.symbol, option.strike, option.right) == (f"S{number}", strike, right)
    assert option.expiry == weekly_expiry(friday)
    assert chains.by_id(option.contract_id) is option


def test_too_many_options_are_refused() -> None:
    stocks = [stock(f"S{one}") for one in range(300)]
    with pytest.raises(ValueError, match="options: 300 stocks"):
        Chains(stocks, date(2000, 1, 1), date(2020, 1, 1), lambda *_: None)


def test_unknown_ids_are_not_found(catalogue: Catalogue) -> None:
    for contract_id in (0, -1, 999_999_999, 2**31 - 1, 920_000_001):
        with pytest.raises(KeyError, match=f"contract id {contract_id} "):
            catalogue.by_id(contract_id)


def test_same_id_twice_is_refused() -> None:
    nothing = Futures((), {}, START, END)
    with pytest.raises(ValueError, match="symbols: two of them"):
        Catalogue([stock("AAA"), stock("AAA")], nothing, Chains([], START, END, lambda *_: None))


def test_matching(catalogue: Catalogue) -> None:
    assert names(catalogue.matching("aap")) == ["AAPL"]
    assert names(catalogue.matching("500")) == ["SPX"]
    assert names(catalogue.matching("eur")) == ["EUR.USD"]
    assert catalogue.matching("") == []
    assert catalogue.derivatives(265598) == ("OPT", "BAG")
    assert catalogue.derivatives(416904) == ("FUT", "BAG")
    assert catalogue.derivatives(12087792) == ()


def test_kinds_of_contracts() -> None:
    assert (stock("AAPL").trading_class, stock("IBM").trading_class) == ("NMS", "IBM")
    assert (stock("SPY", etf=True).stock_type, stock("SPY", etf=True).primary_exchange) == ("ETF", "ARCA")
    assert (stock("AAA").market_rule, stock("AAA", penny=True).market_rule) == (26, 557)
    assert index("SPX").exchanges == ("CBOE",)
    assert (pair("EUR.USD").symbol, pair("EUR.USD").currency) == ("EUR", "USD")
    assert pair("EUR.USD").security_type is SecurityType.CURRENCY
    assert stock("ZZZ") == stock("ZZZ")
    assert stock("ZZZ").contract_id != stock("ZZY").contract_id


def test_expiries_avoid_every_holiday() -> None:
    """The rule against the exchange's own calendar, in which the days of mourning and of storms were no Fridays."""
    for year in (2002, *range(2005, 2027)):
        friday = date(year, 1, 1) + timedelta(days=(4 - date(year, 1, 1).weekday()) % 7)
        while friday.year == year:
            expiry = weekly_expiry(friday)
            assert calendar.session_hours(expiry) is not None, expiry
            assert expiry == friday or calendar.session_hours(friday) is None
            friday += timedelta(days=7)
    assert third_friday(2012, 6) == date(2012, 6, 15)
    assert weekly_expiry(third_friday(2008, 3)) == date(2008, 3, 20)
