"""Contract details, chains, symbols and market rules."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.conformance.harness import Client, World
from tests.conformance.market import AAPL, CLOSE, ES, EUR, IBM, OPEN, SPX, SPY, Contract, option, quote

NEW_YORK = ZoneInfo("America/New_York")


def only(client: Client, contract: Contract) -> dict[str, object]:
    (details,) = client.call("details", contract=contract)
    assert isinstance(details, dict)
    return details


@pytest.mark.parametrize(
    ("contract", "primary", "name"),
    [
        (AAPL, "NASDAQ", "APPLE INC"),
        (IBM, "NYSE", "INTL BUSINESS MACHINES CORP"),
        (SPY, "ARCA", "SPDR S&P 500 ETF TRUST"),
    ],
    ids=["AAPL", "IBM", "SPY"],
)
def test_stock(client: Client, contract: Contract, primary: str, name: str) -> None:
    described = {key: contract[key] for key in ("symbol", "secType", "exchange", "currency")}
    details = only(client, described)
    assert details["contract"]["conId"] == contract["conId"]  # type: ignore[index]
    assert details["contract"]["primaryExchange"] == primary  # type: ignore[index]
    assert details["longName"] == name
    assert details["minTick"] == 0.01
    assert details["stockType"] == ("ETF" if contract is SPY else "COMMON")
    for kind in ("MKT", "LMT", "TRAIL"):
        assert kind in str(details["orderTypes"]).split(",")
    assert "SMART" in str(details["validExchanges"]).split(",")


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (SPX, {"minTick": 0.01, "longName": "S&P 500 STOCK INDEX"}),
        (ES, {"minTick": 0.25, "contractMonth": "202406", "realExpirationDate": "20240621", "underSymbol": "SPX"}),
        (EUR, {"minTick": 0.00005, "longName": "European Monetary Union Euro"}),
    ],
    ids=["index", "future", "currency"],
)
def test_other_security_types(client: Client, contract: Contract, expected: dict[str, object]) -> None:
    details = only(client, {key: value for key, value in contract.items() if key != "conId"})
    assert {key: details[key] for key in expected} == expected
    assert details["contract"]["secType"] == contract["secType"]  # type: ignore[index]


def test_sizes_that_newer_versions_tell(client: Client) -> None:
    details = only(client, AAPL)
    if client.official:
        assert details["mdSizeMultiplier"] in (1, 100)
    else:
        assert (details["minSize"], details["sizeIncrement"]) == (1, 1)


@pytest.mark.parametrize("right", ["C", "P"])
def test_option(client: Client, world: World, right: str) -> None:
    wanted = option(world, right)
    details = only(client, wanted)
    found = details["contract"]
    assert isinstance(found, dict)
    assert (found["strike"], found["right"], found["multiplier"]) == (wanted["strike"], right, "100")
    assert found["lastTradeDateOrContractMonth"] == "20240621"
    assert found["localSymbol"] == f"AAPL  240621{right}{int(wanted['strike'] * 1000):08d}"
    assert (details["underConId"], details["underSymbol"]) == (AAPL["conId"], "AAPL")
    again = only(client, {"conId": found["conId"], "exchange": "SMART"})
    assert again["contract"] == found


def test_a_contract_id_says_everything(client: Client) -> None:
    assert only(client, {"conId": AAPL["conId"]})["contract"]["symbol"] == "AAPL"  # type: ignore[index]


def test_several_contracts_fit(client: Client) -> None:
    contract = {key: value for key, value in ES.items() if key != "lastTradeDateOrContractMonth"}
    found = client.call("details", contract=contract)
    expiries = [details["contract"]["lastTradeDateOrContractMonth"] for details in found]
    assert expiries == sorted(expiries)
    assert expiries[:2] == ["20240621", "20240920"]


def test_all_strikes_of_an_expiry(client: Client, world: World) -> None:
    wanted = option(world, "C")
    del wanted["strike"]
    found = client.call("details", contract=wanted)
    strikes = [details["contract"]["strike"] for details in found]
    assert len(strikes) > 10
    assert strikes == sorted(set(strikes))
    price = float(quote(world, AAPL).last)
    assert strikes[0] < price < strikes[-1]
    assert {details["contract"]["right"] for details in found} == {"C"}


@pytest.mark.parametrize(
    "contract",
    [
        {"symbol": "NOPE", "secType": "STK", "exchange": "SMART", "currency": "USD"},
        {"symbol": "IBM", "secType": "STK", "exchange": "SMART", "currency": "EUR"},
        {"conId": 4711},
        {**ES, "lastTradeDateOrContractMonth": "202405"},
    ],
    ids=["symbol", "currency", "id", "expiry"],
)
def test_nothing_fits(client: Client, contract: Contract) -> None:
    assert client.call("details", contract=contract) == []
    assert client.code(200) == "No security definition has been found for the request"


def test_hours(client: Client) -> None:
    details = only(client, AAPL)
    assert details["timeZoneId"] == "US/Eastern"
    first = str(details["liquidHours"]).split(";")[0]
    start, end = (datetime.strptime(text, "%Y%m%d:%H%M").replace(tzinfo=NEW_YORK) for text in first.split("-"))
    assert (start, end) == (OPEN, CLOSE)
    assert len(str(details["tradingHours"]).split(";")) >= 5


def test_chain(client: Client, world: World) -> None:
    chains = client.call("chain", symbol="AAPL", kind="STK", number=AAPL["conId"])
    smart = next(chain for chain in chains if chain["exchange"] == "SMART")
    assert (smart["tradingClass"], smart["multiplier"], int(smart["underlyingConId"])) == ("AAPL", "100", AAPL["conId"])
    assert {"20240607", "20240614", "20240621"} <= set(smart["expirations"])
    price = float(quote(world, AAPL).last)
    assert min(smart["strikes"]) < price < max(smart["strikes"])


def test_chain_of_what_has_none(client: Client) -> None:
    assert client.call("chain", symbol="EUR", kind="CASH", number=EUR["conId"]) == []


@pytest.mark.parametrize(
    ("pattern", "symbols"), [("AAPL", {"AAPL"}), ("apple", {"AAPL"}), ("BUSINESS", {"IBM"}), ("XYZZY", set[str]())]
)
def test_symbols(client: Client, pattern: str, symbols: set[str]) -> None:
    found = client.call("symbols", pattern=pattern)
    assert {contract["symbol"] for contract in found} == symbols
    assert all("OPT" in contract["derivatives"] for contract in found)


@pytest.mark.parametrize(
    ("contract", "price", "increment"),
    [(AAPL, 100, 0.01), (ES, 5000, 0.25), (EUR, 1, 0.00005)],
    ids=["stock", "future", "currency"],
)
def test_market_rules(client: Client, contract: Contract, price: float, increment: float) -> None:
    rule = int(str(only(client, contract)["marketRuleIds"]).split(",")[0])
    steps = client.call("rule", number=rule)
    assert steps[0]["lowEdge"] == 0
    assert [step["increment"] for step in steps if step["lowEdge"] <= price][-1] == increment


def test_market_rule_with_several_steps(client: Client, world: World) -> None:
    rule = int(str(only(client, option(world, "C"))["marketRuleIds"]).split(",")[0])
    steps = client.call("rule", number=rule)
    assert [(step["lowEdge"], step["increment"]) for step in steps] == [(0, 0.01), (3, 0.05)]
