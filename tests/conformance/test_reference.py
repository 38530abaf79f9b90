"""Scanner, news and other lists."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from tests.conformance.harness import Client, World
from tests.conformance.market import AAPL, CLOSE, DAY, IBM, MSFT, SPY, quote
from tests.conformance.test_quotes import reading

MARKET = {"AAPL": AAPL, "IBM": IBM, "MSFT": MSFT, "SPY": SPY}


def scan(client: Client, code: str, filters: Any = (), **more: Any) -> list[str]:
    wanted = {"instrument": "STK", "locationCode": "STK.US.MAJOR", "scanCode": code, "numberOfRows": 10, **more}
    rows = client.call("scan", wanted=wanted, filters=list(filters))
    assert [row["rank"] for row in rows] == list(range(len(rows)))
    return [row["symbol"] for row in rows]


def change(world: World, symbol: str) -> float:
    now = quote(world, MARKET[symbol])
    return float(now.last / now.previous_close - 1)


@pytest.mark.parametrize(("code", "falling"), [("TOP_PERC_GAIN", True), ("TOP_PERC_LOSE", False)])
def test_scanner_of_movers(client: Client, world: World, code: str, falling: bool) -> None:
    symbols = scan(client, code)
    changes = [change(world, symbol) for symbol in symbols]
    assert symbols
    assert changes == sorted(changes, reverse=falling)


@pytest.mark.parametrize("code", ["MOST_ACTIVE", "HOT_BY_VOLUME"])
def test_scanner_of_volume(client: Client, world: World, code: str) -> None:
    symbols = scan(client, code)
    assert {"AAPL", "IBM", "MSFT"} <= set(symbols)
    if code == "MOST_ACTIVE":
        volumes = [quote(world, MARKET[symbol]).volume for symbol in symbols]
        assert volumes == sorted(volumes, reverse=True)


@pytest.mark.parametrize(("code", "falling"), [("HIGH_OPEN_GAP", True), ("LOW_OPEN_GAP", False)])
def test_scanner_of_gaps(client: Client, world: World, code: str, falling: bool) -> None:
    symbols = scan(client, code)
    gaps = [
        float(quote(world, MARKET[symbol]).open / quote(world, MARKET[symbol]).previous_close) for symbol in symbols
    ]
    assert symbols
    assert gaps == sorted(gaps, reverse=falling)


def test_scanner_filters_by_price(client: Client, world: World) -> None:
    prices = {symbol: float(quote(world, contract).last) for symbol, contract in MARKET.items()}
    limit = sorted(prices.values())[1]
    assert set(scan(client, "MOST_ACTIVE", abovePrice=limit + 0.01)) <= {
        symbol for symbol, price in prices.items() if price > limit
    }


def test_scanner_filters_by_tag(client: Client, world: World) -> None:
    prices = {symbol: float(quote(world, contract).last) for symbol, contract in MARKET.items()}
    limit = sorted(prices.values())[1]
    found = scan(client, "MOST_ACTIVE", filters=[["priceAbove", str(limit + 0.01)]])
    assert found
    assert all(prices[symbol] > limit for symbol in found)


def test_scanner_shows_as_many_rows_as_asked_for(client: Client) -> None:
    assert len(scan(client, "MOST_ACTIVE", numberOfRows=2)) == 2


def test_unknown_scan(client: Client) -> None:
    wanted = {"instrument": "STK", "locationCode": "STK.US.MAJOR", "scanCode": "NO_SUCH_SCAN", "numberOfRows": 5}
    assert client.call("scan", wanted=wanted) == []
    assert client.code(162)


def test_scanner_parameters(client: Client) -> None:
    root = ElementTree.fromstring(client.call("scanner_parameters"))  # noqa: S314 - the simulator's own
    codes = {element.text for element in root.iter("scanCode")}
    assert {"TOP_PERC_GAIN", "TOP_PERC_LOSE", "MOST_ACTIVE", "HOT_BY_VOLUME", "HIGH_OPEN_GAP"} <= codes


def test_news_providers(client: Client) -> None:
    providers = client.call("news_providers")
    assert providers
    assert all(provider["code"] and provider["name"] for provider in providers)


def headlines(client: Client, world: World) -> list[Any]:
    world.advance(CLOSE + 2 * DAY)
    codes = "+".join(provider["code"] for provider in client.call("news_providers"))
    return client.call(
        "headlines", number=AAPL["conId"], providers=codes, start="2024-04-05 00:00:00.0", end="", limit=5
    )


def test_headlines(client: Client, world: World) -> None:
    found = headlines(client, world)
    assert 1 <= len(found) <= 5
    assert all(item["headline"] and item["articleId"] for item in found)


def test_article(client: Client, world: World) -> None:
    item = headlines(client, world)[0]
    article = client.call("article", provider=item["providerCode"], article=item["articleId"])
    assert "AAPL" in article["articleText"] or "APPLE" in article["articleText"].upper()


def test_depth_exchanges(client: Client) -> None:
    exchanges = client.call("depth_exchanges")
    assert len({one["exchange"] for one in exchanges}) > 1
    assert all(one["secType"] for one in exchanges)


def test_smart_components(client: Client) -> None:
    client.call("start", key="quotes", kind="quotes", contract=AAPL)
    letters = reading(client, "bboExchange")["bboExchange"]
    components = client.call("smart_components", exchange=letters)
    assert all(one["exchange"] for one in components)
    assert len({one["bitNumber"] for one in components}) == len(components) > 1


def test_fundamentals_end(client: Client) -> None:
    found = client.call("fundamentals", contract=AAPL, report="ReportSnapshot")
    assert found == [] or "AAPL" in found
    if found == []:
        assert client.code(430)


@pytest.mark.parametrize("driver", ["ib_async", "ib_insync"], indirect=True)
def test_user_info(client: Client) -> None:
    assert not client.call("user_info"), "there is no white branding"


@pytest.mark.parametrize("driver", ["ibapi"], indirect=True)
def test_soft_dollar_tiers(client: Client) -> None:
    assert client.call("soft_dollar_tiers") == []


@pytest.mark.parametrize("driver", ["ibapi"], indirect=True)
def test_family_codes(client: Client) -> None:
    (code,) = client.call("family_codes")
    assert code["accountID"] in ("*", "DU1000001")
    assert code["familyCodeStr"] == ""


@pytest.mark.parametrize("driver", ["ibapi"], indirect=True)
def test_display_groups(client: Client) -> None:
    assert client.call("display_groups").split("|")[0].isdigit()
