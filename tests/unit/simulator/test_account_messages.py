"""Requests about accounts: what they are answered with, and what is sent when something changes."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from services.simulator.wire import requests
from services.simulator.wire.layout import UNSET_DOUBLE, Row
from tests.unit.simulator.desk import AAPL, OPEN, Client, join, open_broker

FIRST, SECOND = "DU1000001", "DU1000002"
Sent = list[tuple[str, Row]]


@pytest.fixture
def client() -> Iterator[Client]:
    return join(open_broker(accounts=(SECOND,)))


def rows(sent: Sent, name: str) -> list[Row]:
    return [row for found, row in sent if found == name]


def values(
    sent: Sent, name: str = "updateAccountValue", key: str = "key", currency: str = "USD"
) -> dict[object, object]:
    return {row[key]: row["value"] for row in rows(sent, name) if row["currency"] == currency}


def buy(client: Client, order_id: int, account: str = FIRST, quantity: int = 100) -> Sent:
    """Fill an order and return what came of it."""
    return client.place(order_id, "BUY", "MKT", account=account, total_quantity=quantity)


def test_managed_accounts(client: Client) -> None:
    assert client.ask(requests.REQUEST_MANAGED_ACCOUNTS)[0][1]["accounts"] == f"{FIRST},{SECOND}"


def test_positions_of_all_accounts_are_sent_and_then_every_change(client: Client) -> None:
    buy(client, 1, SECOND)
    sent = client.ask(requests.REQUEST_POSITIONS)
    assert [name for name, _ in sent] == ["position", "positionEnd"]
    assert (sent[0][1]["account"], sent[0][1]["con_id"], sent[0][1]["position"]) == (SECOND, str(AAPL), "100")
    assert sent[0][1]["exchange"] == "NASDAQ", "the listing exchange, never SMART"
    moved = rows(buy(client, 2), "position")
    assert [(row["account"], row["position"]) for row in moved] == [(FIRST, "100")]
    closed = rows(client.place(3, "SELL", "MKT"), "position")
    assert [(row["account"], row["position"], row["average_cost"]) for row in closed] == [(FIRST, "0", "0")]
    client.ask(requests.CANCEL_POSITIONS)
    assert rows(buy(client, 4), "position") == []


def test_positions_of_one_account(client: Client) -> None:
    buy(client, 1, SECOND)
    sent = client.ask(requests.REQUEST_POSITIONS_MULTI, request_id=7, account=SECOND)
    assert [name for name, _ in sent] == ["positionMulti", "positionMultiEnd"]
    assert (sent[0][1]["request_id"], sent[0][1]["position"]) == ("7", "100")
    assert rows(buy(client, 2, FIRST), "positionMulti") == []
    assert [row["position"] for row in rows(buy(client, 3, SECOND), "positionMulti")] == ["200"]
    client.ask(requests.CANCEL_POSITIONS_MULTI, request_id=7)
    assert rows(buy(client, 4, SECOND), "positionMulti") == []


def test_account_updates_tell_values_portfolio_and_time_and_then_what_changed(client: Client) -> None:
    sent = client.ask(requests.REQUEST_ACCOUNT_UPDATES, subscribe=True, account=SECOND)
    assert sent[-1] == ("accountDownloadEnd", {"_version": "1", "account": SECOND})
    assert rows(sent, "updateAccountTime")[0]["time"] == "09:30"
    found = values(sent)
    assert found["NetLiquidation"] == found["TotalCashValue"] == found["CashBalance"] == "1000000.00"
    assert found["BuyingPower"] == "2000000.00"
    assert {row["account"] for row in rows(sent, "updateAccountValue")} == {SECOND}
    assert rows(sent, "updatePortfolio") == []
    assert values(buy(client, 1, FIRST)) == {}, "another account's fill"
    sent = buy(client, 2, SECOND)
    (item,) = rows(sent, "updatePortfolio")
    assert (item["position"], item["primary_exchange"], item["account"]) == ("100", "NASDAQ", SECOND)
    position = client.broker.engine.accounts[SECOND].positions[AAPL]
    assert Decimal(str(item["average_cost"])) == position.average_cost.quantize(Decimal("0.00000001"))
    assert "TotalCashValue" in values(sent)
    assert "SettledCash" in values(sent)
    assert "AccruedCash" not in values(sent), "did not change"
    closed = rows(client.place(3, "SELL", "MKT", account=SECOND), "updatePortfolio")
    assert [row["position"] for row in closed] == ["0"]
    client.ask(requests.REQUEST_ACCOUNT_UPDATES, subscribe=False, account=SECOND)
    assert client.names() == ["error 2100"]
    assert values(buy(client, 4, SECOND)) == {}


def test_account_values_are_sent_every_three_minutes(client: Client) -> None:
    client.ask(requests.REQUEST_ACCOUNT_UPDATES, subscribe=True, account="")
    buy(client, 1)
    times = 0
    for minute in range(1, 10):
        client.sent.clear()
        client.broker.advance(OPEN + timedelta(minutes=minute))
        times += bool(rows(client.sent, "updateAccountTime"))
    assert times == 3


def test_account_updates_of_several_accounts(client: Client) -> None:
    sent = client.ask(requests.REQUEST_ACCOUNT_UPDATES_MULTI, request_id=3, account=SECOND)
    assert sent[-1][0] == "accountUpdateMultiEnd"
    assert values(sent, "accountUpdateMulti")["NetLiquidation"] == "1000000.00"
    ledger = client.ask(requests.REQUEST_ACCOUNT_UPDATES_MULTI, request_id=4, account=FIRST, ledger_and_nlv=True)
    assert "NetLiquidation" in values(ledger, "accountUpdateMulti")
    assert "BuyingPower" not in values(ledger, "accountUpdateMulti")
    assert values(ledger, "accountUpdateMulti", currency="BASE")["CashBalance"] == "1000000.00"
    client.ask(requests.CANCEL_ACCOUNT_UPDATES_MULTI, request_id=3)
    assert {row["request_id"] for row in rows(buy(client, 1), "accountUpdateMulti")} == {"4"}


@pytest.mark.parametrize(
    ("tags", "currencies"),
    [("$LEDGER", {"BASE"}), ("$LEDGER:USD", {"USD"}), ("$LEDGER:ALL", {"BASE", "USD"}), ("Nonsense", set())],
)
def test_summary_ledger(client: Client, tags: str, currencies: set[str]) -> None:
    sent = client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=1, group="All", tags=tags)
    assert {row["currency"] for row in rows(sent, "accountSummary")} == currencies
    assert sent[-1][0] == "accountSummaryEnd"


def test_summary_of_tags_for_every_account(client: Client) -> None:
    tags = "NetLiquidation, Leverage,AccountType"
    sent = client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=1, group="All", tags=tags)
    found = {(row["account"], row["tag"]): row["value"] for row in rows(sent, "accountSummary")}
    assert {account for account, _ in found} == {FIRST, SECOND}
    assert {tag for _, tag in found} == {"NetLiquidation", "Leverage", "AccountType"}
    assert found[SECOND, "Leverage"] == "0.00"
    one = client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=1, group=SECOND, tags="NetLiquidation")
    assert [row["account"] for row in rows(one, "accountSummary")] == [SECOND]
    assert {row["tag"] for row in rows(buy(client, 1, SECOND), "accountSummary")} == {"NetLiquidation"}


def test_third_summary_at_a_time_is_refused(client: Client) -> None:
    for request_id in (1, 2, 2, 3):
        sent = client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=request_id, group="All", tags="SMA")
    assert client.names() == ["error 322"]
    assert "Maximum number of account summary requests" in str(sent[0][1]["text"])
    client.ask(requests.CANCEL_ACCOUNT_SUMMARY, request_id=1)
    client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=3, group="All", tags="SMA")
    assert client.names()[-1] == "accountSummaryEnd"
    client.ask(requests.CANCEL_ACCOUNT_SUMMARY, request_id=3)
    client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=4, group="Nobody", tags="SMA")
    assert client.names() == ["error 322"]


def test_profit_moves_with_every_price(client: Client) -> None:
    assert client.ask(requests.REQUEST_PNL, request_id=5, account=FIRST)[0][1]["daily"] == "0.00"
    single = client.ask(requests.REQUEST_PNL_SINGLE, request_id=6, account=FIRST, con_id=AAPL)[0][1]
    assert (single["position"], single["daily"], single["value"]) == ("0", UNSET_DOUBLE, UNSET_DOUBLE)
    sent = buy(client, 1)
    assert rows(sent, "pnlSingle")[-1]["position"] == "100"
    daily: list[object] = []
    for minute in range(1, 6):
        client.sent.clear()
        client.broker.advance(OPEN + timedelta(minutes=minute))
        daily += [row["daily"] for row in rows(client.sent, "pnl")]
        for row in rows(client.sent, "pnlSingle"):
            assert row["value"] == f"{100 * client.broker.engine.valuation(FIRST).positions[0].price:.2f}"
    assert len(set(daily)) > 2
    for message_id, request_id in ((requests.CANCEL_PNL, 5), (requests.CANCEL_PNL_SINGLE, 6)):
        client.ask(message_id, request_id=request_id)
    client.sent.clear()
    client.broker.advance(OPEN + timedelta(minutes=9))
    assert rows(client.sent, "pnl") == rows(client.sent, "pnlSingle") == []


@pytest.mark.parametrize(
    "message_id",
    [
        requests.REQUEST_ACCOUNT_UPDATES,
        requests.REQUEST_ACCOUNT_UPDATES_MULTI,
        requests.REQUEST_POSITIONS_MULTI,
        requests.REQUEST_PNL,
        requests.REQUEST_PNL_SINGLE,
    ],
)
def test_unknown_accounts_are_refused(client: Client, message_id: int) -> None:
    extra = {"subscribe": True} if message_id == requests.REQUEST_ACCOUNT_UPDATES else {"request_id": 9}
    sent = client.ask(message_id, account="U999", **extra)
    assert client.names() == ["error 321"]
    assert "U999" in str(sent[0][1]["text"])


@pytest.mark.parametrize(("message_id", "request_id"), [(requests.REQUEST_FA, "-1"), (requests.REPLACE_FA, "4")])
def test_advisors_requests_are_refused(client: Client, message_id: int, request_id: str) -> None:
    extra = {"request_id": 4} if message_id == requests.REPLACE_FA else {}
    sent = client.ask(message_id, data_type=1, **extra)
    assert client.names() == ["error 321"]
    assert sent[0][1]["id"] == request_id


def test_small_requests_are_answered(client: Client) -> None:
    assert client.ask(requests.REQUEST_SOFT_DOLLAR_TIERS, request_id=2)[0][1]["tiers"] == []
    codes = client.ask(requests.REQUEST_FAMILY_CODES)[0][1]["codes"]
    assert codes == [{"account": "*", "family_code": ""}]
    assert client.ask(requests.REQUEST_USER_INFO, request_id=3)[0][1]["white_branding_id"] == ""


def an_option(client: Client) -> dict[str, object]:
    """Return the fields of a call that is in the money, of which two were bought."""
    engine = client.broker.engine
    chain = engine.market.catalogue.chain(AAPL, engine.now)[0]
    price = engine.valuation().positions[0].price
    expiry, strike = chain.expiries[1], max(strike for strike in chain.strikes if strike < price * Decimal("0.95"))
    terms: dict[str, object] = {
        "symbol": "AAPL",
        "sec_type": "OPT",
        "expiry": f"{expiry:%Y%m%d}",
        "strike": strike,
        "right": "C",
        "multiplier": 100,
        "exchange": "SMART",
        "currency": "USD",
        "trading_class": chain.trading_class,
    }
    client.place(2, "BUY", "MKT", **{**terms, "total_quantity": 2})
    return terms


def test_exercise_of_options(client: Client) -> None:
    buy(client, 1)
    terms = an_option(client)
    account = client.broker.engine.accounts[FIRST]
    contract_id = account.held()[1]
    client.ask(requests.REQUEST_POSITIONS)
    wanted = {**terms, "request_id": 8, "account": FIRST, "exercise_quantity": 2}
    client.ask(requests.EXERCISE_OPTIONS, **wanted, exercise_action=3)
    assert client.names() == ["error 321"]
    client.ask(requests.EXERCISE_OPTIONS, **{**wanted, "exercise_quantity": 3}, exercise_action=1)
    assert client.names() == ["error 322"]
    client.ask(requests.EXERCISE_OPTIONS, **{**wanted, "strike": 1}, exercise_action=1)
    assert client.names() == ["error 200"]
    client.ask(requests.EXERCISE_OPTIONS, **wanted, exercise_action=2)
    assert client.names() == ["error 322"]
    sent = client.ask(requests.EXERCISE_OPTIONS, **wanted, exercise_action=1)
    assert client.names() == ["openOrder PreSubmitted", "orderStatus PreSubmitted"]
    assert (sent[0][1]["order_id"], sent[0][1]["order_type"]) == ("8", "EXERCISE")
    assert client.broker.engine.book.live() == []
    client.sent.clear()
    client.broker.advance(OPEN + timedelta(days=1))
    moved = {row["con_id"]: row["position"] for row in rows(client.sent, "position")}
    assert moved == {str(contract_id): "0", str(AAPL): "300"}
    assert account.held() == [AAPL]


@pytest.mark.parametrize("override", [True, False])
def test_exercise_of_an_option_that_is_not_in_the_money_needs_the_override(client: Client, override: bool) -> None:
    buy(client, 1)
    put = {**an_option(client), "right": "P"}
    client.place(3, "BUY", "MKT", **{**put, "total_quantity": 1})
    client.ask(
        requests.EXERCISE_OPTIONS, **put, request_id=8, exercise_quantity=1, exercise_action=1, override=override
    )
    assert client.names()[0] == ("openOrder PreSubmitted" if override else "error 322")
    client.broker.advance(OPEN + timedelta(days=1))
    assert client.broker.engine.accounts[FIRST].quantity(AAPL) == (0 if override else 100)


def test_currencies_have_a_ledger_of_their_own() -> None:
    client = join(open_broker(currencies=("EUR.USD",)))
    pair = {"symbol": "EUR", "sec_type": "CASH", "currency": "USD", "exchange": "IDEALPRO"}
    client.place(1, "BUY", "MKT", **pair, total_quantity=20_000)
    sent = client.ask(requests.REQUEST_ACCOUNT_SUMMARY, request_id=1, group="All", tags="$LEDGER:EUR,TotalCashValue")
    euro = values(sent, "accountSummary", "tag", "EUR")
    assert euro["CashBalance"] == "20000.00"
    valuation = client.broker.engine.valuation()
    assert Decimal(str(euro["ExchangeRate"])) * 20_000 == valuation.currency_value
    assert values(sent, "accountSummary", "tag")["TotalCashValue"] == f"{valuation.total_cash:.2f}"
