"""Our names of instruments and ib_async's contracts."""

import pytest
from ib_async.contract import Contract, ContractDetails

from services.gateway.adapters.tws import names
from services.gateway.ports import RequestRefused

OPTION = "AAPL  261218C00200000"


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("AAPL", Contract(symbol="AAPL", secType="STK", exchange="SMART", currency="USD")),
        ("BRK B", Contract(symbol="BRK B", secType="STK", exchange="SMART", currency="USD")),
        (OPTION, Contract(localSymbol=OPTION, secType="OPT", exchange="SMART", currency="USD")),
        ("^SPX", Contract(symbol="SPX", secType="IND", currency="USD")),
        ("/ESZ6", Contract(localSymbol="ESZ6", secType="FUT", currency="USD")),
        ("EUR.USD", Contract(symbol="EUR", secType="CASH", exchange="IDEALPRO", currency="USD")),
        ("USD.JPY", Contract(symbol="USD", secType="CASH", exchange="IDEALPRO", currency="JPY")),
    ],
)
def test_each_kind_of_name_asks_for_its_contract(symbol: str, expected: Contract) -> None:
    assert names.wanted(symbol) == expected


def test_a_name_of_no_form_is_refused_before_the_broker_is_asked() -> None:
    with pytest.raises(RequestRefused, match="'aapl' is no ticker"):
        names.wanted("aapl")


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        (Contract(symbol="AAPL", localSymbol="AAPL", secType="STK", currency="USD"), "AAPL"),
        (Contract(symbol="AAPL", localSymbol=OPTION, secType="OPT", currency="USD"), OPTION),
        (Contract(symbol="SPX", localSymbol="SPX", secType="IND", currency="USD"), "^SPX"),
        (Contract(symbol="ES", localSymbol="ESZ6", secType="FUT", currency="USD"), "/ESZ6"),
        (Contract(symbol="EUR", localSymbol="EUR.USD", secType="CASH", currency="USD"), "EUR.USD"),
        (Contract(symbol="USD", localSymbol="USD.JPY", secType="CASH", currency="JPY"), "USD.JPY"),
        (Contract(symbol="AAPL", localSymbol="28812380", secType="BAG", currency="USD"), "AAPL"),
        (Contract(symbol="BMW", localSymbol="BMW", secType="STK", currency="EUR"), "STK:BMW in EUR"),
        (Contract(symbol="IBM", localSymbol="IBM 3.3", secType="BOND", currency="USD"), "BOND:IBM 3.3 in USD"),
        (Contract(symbol="DAX", localSymbol="P DAX  DEC 26 20000", secType="OPT", currency="EUR"),
         "OPT:P DAX  DEC 26 20000 in EUR"),
    ],
)  # fmt: skip
def test_each_contract_of_the_broker_has_a_name_of_its_own(contract: Contract, name: str) -> None:
    assert names.name_of(contract) == name


def details(number: int, primary: str = "", exchange: str = "SMART", name: str = "") -> ContractDetails:
    contract = Contract(conId=number, exchange=exchange, primaryExchange=primary)
    return ContractDetails(contract=contract, longName=name)


def test_none_and_several_contracts_are_refused_with_the_reason() -> None:
    with pytest.raises(RequestRefused, match="no contract of this name"):
        names.only("AAPL", [])
    with pytest.raises(RequestRefused, match=r"2 contracts have this name.*1 FIRST at CBOE; 2 SECOND at CME"):
        names.only("^X", [details(2, "CME", name="SECOND"), details(1, "CBOE", name="FIRST")])


def test_of_stocks_in_several_countries_the_one_listed_in_the_us_is_meant() -> None:
    found = names.only("CSPX", [details(1, "LSEETF"), details(2, "NASDAQ.NMS"), details(3, "EBS")])
    assert found.contract is not None
    assert found.contract.conId == 2
    assert names.only("CSPX", [details(1, "LSEETF")]).contract is not None


def test_a_future_listed_a_second_time_is_one_contract_at_its_own_exchange() -> None:
    for listings in (("QBALGO", "CME"), ("CME", "QBALGO")):
        found = names.only("/ESZ6", [details(7, exchange=exchange) for exchange in listings])
        assert found.contract is not None
        assert found.contract.exchange == "CME"


def test_only_what_ibkr_routes_goes_to_smart() -> None:
    assert names.routed(Contract(secType="STK", exchange="NYSE")).exchange == "SMART"
    assert names.routed(Contract(secType="FUT", exchange="CME")).exchange == "CME"
