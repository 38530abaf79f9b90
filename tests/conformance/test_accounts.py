"""Account values, positions and profit."""

from collections.abc import Callable

import pytest

from tests.conformance.harness import Client, Driver, World, until
from tests.conformance.market import AAPL, ACCOUNT, EUR, MINUTE, TEN_O_CLOCK, option, qualified, quote


def values(client: Client, call: str = "values", **more: str) -> dict[str, str]:
    found = client.call(call, **more)
    return {value["tag"]: value["value"] for value in found if value["currency"] in ("USD", "")}


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("NetLiquidation", "1000000.00"),
        ("TotalCashValue", "1000000.00"),
        ("BuyingPower", "2000000.00"),
        ("InitMarginReq", "0.00"),
        ("MaintMarginReq", "0.00"),
    ],
)
def test_values_of_an_untouched_account(client: Client, tag: str, expected: str) -> None:
    assert values(client)[tag] == expected
    assert values(client, "summary")[tag] == expected


def test_ledger(client: Client) -> None:
    found = client.call("summary")
    assert {value["account"] for value in found} == {ACCOUNT}
    cash = [value for value in found if value["tag"] == "CashBalance"]
    assert {(value["currency"], float(value["value"])) for value in cash} >= {("USD", 1_000_000)}


def test_values_of_one_account_by_request(client: Client) -> None:
    assert values(client, "values_multi", account=ACCOUNT)["NetLiquidation"] == "1000000.00"


def bought(client: Client, quantity: int = 100) -> float:
    """Buy shares of AAPL; returns what they cost each."""
    order = client.reaches(client.place(AAPL, "BUY", quantity), "Filled")
    return order["avgFillPrice"]


def test_position_and_portfolio(client: Client, world: World) -> None:
    price = bought(client)
    (position,) = until(lambda: client.call("positions"))
    assert (position["position"], position["avgCost"]) == (100, pytest.approx(price + 0.01))
    assert position["account"] == ACCOUNT
    assert position["contract"]["conId"] == AAPL["conId"]
    (item,) = until(lambda: client.call("portfolio"))
    last = float(quote(world, AAPL).last)
    assert item["marketPrice"] == pytest.approx(last)
    assert item["marketValue"] == pytest.approx(100 * last)
    assert item["averageCost"] == pytest.approx(price + 0.01)
    assert item["unrealizedPNL"] == pytest.approx(100 * (last - price) - 1, abs=0.01)


def test_positions_are_told_anew(client: Client) -> None:
    bought(client)
    (position,) = client.call("positions", fresh=True)
    assert position["position"] == 100


def test_a_closed_position_is_gone(client: Client) -> None:
    bought(client)
    order = client.reaches(client.place(AAPL, "SELL", 100), "Filled")
    until(lambda: client.call("portfolio"), lambda items: not items)
    held = [position for position in client.call("positions", fresh=True) if position["position"]]
    assert held == []
    realized = sum(fill["realizedPNL"] for fill in order["fills"])
    assert -20 < realized < -1, "spread and commissions"


def test_short_position(client: Client) -> None:
    client.reaches(client.place(AAPL, "SELL", 50), "Filled")
    (position,) = until(lambda: client.call("positions"))
    assert position["position"] == -50


def test_cash_follows_trades(client: Client, world: World) -> None:
    price = bought(client)
    world.advance(TEN_O_CLOCK + 5 * MINUTE)
    cash = until(lambda: float(values(client)["TotalCashValue"]), lambda cash: cash < 1_000_000)
    assert cash == pytest.approx(1_000_000 - 100 * price - 1)
    net = float(values(client)["NetLiquidation"])
    assert net == pytest.approx(cash + 100 * float(quote(world, AAPL).last), abs=30)


def test_margin_follows_positions(client: Client, world: World) -> None:
    price = bought(client, 1000)
    world.advance(TEN_O_CLOCK + 5 * MINUTE)
    initial = until(lambda: float(values(client)["InitMarginReq"]), lambda margin: margin > 0)
    assert initial == pytest.approx(500 * price, rel=0.05)
    assert float(values(client)["MaintMarginReq"]) == pytest.approx(250 * price, rel=0.05)


def test_profit(client: Client, world: World) -> None:
    client.call("start_profit", key="profit", account=ACCOUNT)
    bought(client)
    world.advance(TEN_O_CLOCK + 10 * MINUTE)
    profit = until(lambda: client.call("profit", key="profit"), lambda found: found.get("unrealizedPnL"))
    assert profit["realizedPnL"] == pytest.approx(0, abs=2)
    assert profit["dailyPnL"] == pytest.approx(profit["unrealizedPnL"] + (profit["realizedPnL"] or 0), abs=2)


def test_profit_of_one_position(client: Client, world: World) -> None:
    bought(client)
    client.call("start_profit", key="profit", account=ACCOUNT, number=AAPL["conId"])
    profit = until(lambda: client.call("profit", key="profit"), lambda found: found.get("position"))
    assert profit["position"] == 100
    assert profit["value"] == pytest.approx(100 * float(quote(world, AAPL).last))


def test_option_position(client: Client, world: World) -> None:
    known = qualified(client, option(world, "C"))
    order = client.reaches(client.place(known, "BUY", 2), "Filled")
    (position,) = until(lambda: client.call("positions"))
    assert position["position"] == 2
    assert position["contract"]["secType"] == "OPT"
    assert position["avgCost"] == pytest.approx(order["avgFillPrice"] * 100 + 0.65, abs=0.01)
    (item,) = until(lambda: client.call("portfolio"))
    assert item["marketValue"] == pytest.approx(item["marketPrice"] * 200)


def test_currency_position(client: Client) -> None:
    order = client.reaches(client.place(EUR, "BUY", 20_000), "Filled")
    (position,) = until(lambda: client.call("positions"))
    assert (position["position"], position["contract"]["secType"]) == (20_000, "CASH")
    assert sum(fill["commission"] for fill in order["fills"]) == 2


@pytest.mark.parametrize("account", [ACCOUNT, "DU1000002"])
def test_each_account_has_its_own_books(driver: Driver, make_world: Callable[..., World], account: str) -> None:
    world = make_world(accounts=("DU1000002",))
    world.advance(TEN_O_CLOCK)
    client = Client(driver, world)
    client.connect()
    client.reaches(client.place(AAPL, "BUY", 10, account=account), "Filled")
    (position,) = until(lambda: client.call("positions", fresh=True))
    assert (position["account"], position["position"]) == (account, 10)
    for name in (ACCOUNT, "DU1000002"):
        cash = float(values(client, "values_multi", account=name)["TotalCashValue"])
        assert (cash < 1_000_000) == (name == account)
    assert client.finish() == []


@pytest.mark.parametrize("driver", ["ibapi"], indirect=True)
def test_positions_of_one_account_by_request(client: Client) -> None:
    bought(client)
    (position,) = client.call("positions_multi", account=ACCOUNT)
    assert position["position"] == 100
