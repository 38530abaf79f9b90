"""Streaming quotes, snapshots, depth, tick-by-tick data and option computations."""

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.harness import Client, World, until
from tests.conformance.market import (
    AAPL,
    CLOSE,
    DAY,
    ES,
    EUR,
    IBM,
    MINUTE,
    MSFT,
    SPX,
    SPY,
    TEN_O_CLOCK,
    Contract,
    combo,
    option,
    qualified,
    quote,
)

STOCKS = [AAPL, IBM, MSFT, SPY]
BOOK = ("bid", "ask", "last", "bidSize", "askSize", "volume", "high", "low", "open")


def watch(client: Client, contract: Contract, key: str = "quotes", **options: Any) -> None:
    client.call("start", key=key, kind="quotes", contract=contract, **options)


def lines(world: World) -> list[int]:
    """Return the contract ids that client 1 still has quotes of, as the gateway sees it."""
    quotes = world.simulator.broker.sessions[1].data.quotes
    return world.run(lambda: [line.instrument.contract_id for line in quotes.values()])


def reading(client: Client, *names: str, key: str = "quotes") -> dict[str, Any]:
    """Wait until a quote has values of these names."""
    return until(lambda: client.call("read", key=key), lambda values: all(name in values for name in names))


def same(world: World, contract: Contract, seen: dict[str, Any]) -> bool:
    now = quote(world, contract)
    true = {
        "bid": now.bid, "ask": now.ask, "last": now.last, "bidSize": now.bid_size, "askSize": now.ask_size,
        "volume": now.volume, "high": now.high, "low": now.low, "open": now.open,
    }  # fmt: skip
    return all(seen.get(name) == pytest.approx(float(true[name])) for name in BOOK)


@pytest.mark.parametrize("contract", STOCKS, ids=lambda contract: contract["symbol"])
def test_quotes_follow_the_market(client: Client, world: World, contract: Contract) -> None:
    watch(client, contract)
    until(lambda: client.call("read", key="quotes"), lambda seen: same(world, contract, seen))
    world.advance(TEN_O_CLOCK + 30 * MINUTE)
    until(lambda: client.call("read", key="quotes"), lambda seen: same(world, contract, seen))
    seen = client.call("read", key="quotes")
    assert seen["close"] == float(quote(world, contract).previous_close)
    assert seen["bid"] < seen["ask"]


def test_quotes_end_when_cancelled(client: Client, world: World) -> None:
    watch(client, AAPL)
    before = reading(client, *BOOK)
    watch(client, IBM, key="other")
    client.call("stop", key="quotes")
    client.call("time")
    world.advance(TEN_O_CLOCK + 30 * MINUTE)
    until(lambda: client.call("read", key="other"), lambda seen: same(world, IBM, seen))
    assert lines(world) == [IBM["conId"]]
    assert before["bid"] != float(quote(world, AAPL).bid)


def test_index_has_no_book(client: Client, world: World) -> None:
    watch(client, SPX)
    seen = reading(client, "last", "high", "low", "close")
    assert seen["last"] == float(quote(world, SPX).last)
    assert seen.get("bid", -1) in (-1, 0)


@pytest.mark.parametrize("contract", [ES, EUR], ids=["future", "currency"])
def test_quotes_of_other_types(client: Client, world: World, contract: Contract) -> None:
    known = qualified(client, contract)
    watch(client, known)
    seen = reading(client, "bid", "ask", "bidSize", "askSize")
    now = quote(world, known)
    assert (seen["bid"], seen["ask"]) == (pytest.approx(float(now.bid)), pytest.approx(float(now.ask)))
    world.advance(TEN_O_CLOCK + 10 * MINUTE)
    now = quote(world, known)
    until(lambda: client.call("read", key="quotes")["bid"], lambda bid: bid == pytest.approx(float(now.bid)))


@pytest.mark.parametrize("right", ["C", "P"])
def test_option_quotes_with_greeks(client: Client, world: World, right: str) -> None:
    known = qualified(client, option(world, right))
    watch(client, known)
    seen = reading(client, "bid", "ask", "bidGreeks", "askGreeks", "modelGreeks")
    now = quote(world, known)
    assert (seen["bid"], seen["ask"]) == (pytest.approx(float(now.bid)), pytest.approx(float(now.ask)))
    greeks = seen["modelGreeks"]
    assert 0.05 < greeks["impliedVol"] < 2
    assert 0.2 < abs(greeks["delta"]) < 0.8
    assert (greeks["delta"] > 0) == (right == "C")
    assert greeks["gamma"] > 0
    assert greeks["vega"] > 0
    assert greeks["theta"] < 0
    assert seen["bid"] <= greeks["optPrice"] <= seen["ask"]
    assert greeks["undPrice"] == pytest.approx(float(quote(world, AAPL).last), abs=0.05)
    assert seen["bidGreeks"]["impliedVol"] <= seen["askGreeks"]["impliedVol"]


@pytest.mark.parametrize("contract", [AAPL, SPX, EUR], ids=["stock", "index", "currency"])
def test_snapshot(client: Client, world: World, contract: Contract) -> None:
    seen = client.call("snapshot", contract=contract)
    now = quote(world, contract)
    name = "bid" if contract is EUR else "last"
    assert seen[name] == pytest.approx(float(getattr(now, name)))


def test_snapshot_of_an_option(client: Client, world: World) -> None:
    known = qualified(client, option(world, "P", -2))
    seen = client.call("snapshot", contract=known)
    assert (seen["bid"], seen["ask"]) == (float(quote(world, known).bid), float(quote(world, known).ask))


GENERIC = {
    "100": ("putVolume", "callVolume"),
    "101": ("putOpenInterest", "callOpenInterest"),
    "104": ("histVolatility",),
    "105": ("avOptionVolume",),
    "106": ("impliedVolatility",),
    "165": ("avVolume", "low13week", "high13week", "low52week", "high52week"),
    "221": ("markPrice",),
    "233": ("rtVolume", "vwap"),
    "236": ("shortable", "shortableShares"),
    "293": ("tradeCount",),
    "294": ("tradeRate",),
    "295": ("volumeRate",),
    "318": ("lastRthTrade",),
    "411": ("rtHistVolatility",),
}


UNKNOWN_TO_IB_INSYNC = {"shortable", "lastRthTrade"}


@pytest.mark.parametrize("generic", GENERIC)
def test_generic_ticks(client: Client, world: World, generic: str) -> None:
    watch(client, AAPL, generic=generic)
    world.advance(TEN_O_CLOCK + MINUTE)
    unknown = UNKNOWN_TO_IB_INSYNC if client.library == "ib_insync" else set[str]()
    names = [name for name in (*GENERIC[generic], "last") if name not in unknown]
    seen = reading(client, *names)
    assert all(seen[name] >= 0 for name in names)
    if generic == "221":
        assert seen["markPrice"] == pytest.approx(float(quote(world, AAPL).last), rel=0.001)
    if generic == "165":
        assert seen["low52week"] <= seen["low13week"] <= seen["high13week"] <= seen["high52week"]


@pytest.mark.parametrize("kind", [1, 2])
def test_live_and_frozen_data(client: Client, kind: int) -> None:
    client.call("data_type", kind=kind)
    watch(client, AAPL)
    seen = reading(client, "bid", "ask", "last")
    assert seen["marketDataType"] == 1, "live data are to be had"


@pytest.mark.parametrize("kind", [3, 4])
def test_delayed_data_are_live_when_those_are_to_be_had(client: Client, kind: int) -> None:
    client.call("data_type", kind=kind)
    watch(client, AAPL)
    seen = reading(client, "bid", "ask", "last", "close")
    assert seen["marketDataType"] in (1, 3)
    assert seen["bid"] < seen["ask"]


def test_quote_of_a_combination(client: Client, world: World) -> None:
    near, far = (qualified(client, option(world, "C", places)) for places in (0, 2))
    contract = combo((near, "BUY", 1), (far, "SELL", 1))
    watch(client, {**contract, "conId": 28812380})
    seen = reading(client, "bid", "ask")
    first, second = quote(world, near), quote(world, far)
    assert seen["bid"] == pytest.approx(float(first.bid - second.ask))
    assert seen["ask"] == pytest.approx(float(first.ask - second.bid))


def test_unknown_contract(client: Client) -> None:
    watch(client, {**AAPL, "conId": 4711})
    assert client.code(200)


@pytest.mark.parametrize("smart", [False, True], ids=["exchange", "smart"])
def test_depth(client: Client, world: World, smart: bool) -> None:
    contract = AAPL if smart else {**AAPL, "exchange": "NASDAQ"}
    client.call("start", key="depth", kind="depth", contract=contract, rows=5, smart=smart)

    def at_market(book: dict[str, Any]) -> bool:
        now = quote(world, AAPL)
        best = [side[0]["price"] for side in (book["bids"], book["asks"]) if side]
        return best == [float(now.bid), float(now.ask)] and len(book["bids"]) == len(book["asks"]) == 5

    book = until(lambda: client.call("read", key="depth"), at_market)
    bids, asks = ([level["price"] for level in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert all(level["size"] > 0 for level in book["bids"] + book["asks"])
    if smart:
        assert all(level["marketMaker"] for level in book["bids"])
    world.advance(TEN_O_CLOCK + 5 * MINUTE)
    until(lambda: client.call("read", key="depth"), at_market)
    client.call("stop", key="depth")


def test_depth_shows_as_many_rows_as_asked_for(client: Client) -> None:
    client.call("start", key="depth", kind="depth", contract={**IBM, "exchange": "NYSE"}, rows=3)
    book = until(lambda: client.call("read", key="depth"), lambda book: len(book["bids"]) == len(book["asks"]) == 3)
    assert book["bids"][0]["price"] < book["asks"][0]["price"]


def test_depth_of_all_exchanges_has_to_be_smart(client: Client) -> None:
    client.call("start", key="depth", kind="depth", contract=AAPL, rows=5, smart=False)
    assert client.code(10092)


@pytest.mark.parametrize("what", ["Last", "AllLast", "BidAsk", "MidPoint"])
def test_tick_by_tick(client: Client, world: World, what: str) -> None:
    client.call("start", key="ticks", kind="ticks", contract=AAPL, what=what)
    client.call("listen", key="ticks")
    client.call("time")
    world.advance(TEN_O_CLOCK + 5 * MINUTE)
    ticks = until(
        lambda: client.call("read", key="ticks"),
        lambda ticks: ticks and datetime.fromisoformat(ticks[-1]["time"]) >= TEN_O_CLOCK + 4 * MINUTE,
    )
    assert [tick["time"] for tick in ticks] == sorted(tick["time"] for tick in ticks)
    now = quote(world, AAPL)
    if what == "BidAsk":
        assert (ticks[-1]["bidPrice"], ticks[-1]["askPrice"]) == (float(now.bid), float(now.ask))
    elif what == "MidPoint":
        assert ticks[-1]["midPoint"] == pytest.approx(float((now.bid + now.ask) / 2))
    else:
        assert ticks[-1]["price"] == float(now.last)
        assert ticks[-1]["size"] > 0
    client.call("stop", key="ticks")


@pytest.mark.parametrize("right", ["C", "P"])
def test_option_calculations_are_each_others_inverse(client: Client, world: World, right: str) -> None:
    known = qualified(client, option(world, right))
    under = float(quote(world, AAPL).last)
    priced = client.call("option_price", contract=known, volatility=0.4, under=under)
    assert priced["optPrice"] > 0
    implied = client.call("implied_volatility", contract=known, price=priced["optPrice"], under=under)
    assert implied["impliedVol"] == pytest.approx(0.4, abs=0.01)


def test_nothing_is_computed_from_an_impossible_price(client: Client, world: World) -> None:
    known = qualified(client, option(world, "C"))
    found = client.call("implied_volatility", contract=known, price=10_000, under=float(quote(world, AAPL).last))
    assert not found or found["impliedVol"] in (None, -1)


def test_headlines_come_with_the_quotes(client: Client, world: World) -> None:
    providers = "+".join(provider["code"] for provider in client.call("news_providers"))
    watch(client, AAPL, generic=f"mdoff,292:{providers}")
    client.call("time")
    world.advance(CLOSE + 5 * DAY)
    news = until(lambda: client.call("news_ticks"))
    assert all(item["headline"] and item["articleId"] for item in news)
    assert {item["providerCode"] for item in news} <= set(providers.split("+"))
