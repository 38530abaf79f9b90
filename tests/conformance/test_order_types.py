"""The life of each order type: how it waits, when it fills, and at what price."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.harness import Client, World
from tests.conformance.market import (
    AAPL,
    CLOSE,
    DAY,
    ES,
    EUR,
    MINUTE,
    OPEN,
    TEN_O_CLOCK,
    cents,
    future,
    option,
    qualified,
    quote,
)

SIDES = [pytest.param("BUY", id="buy"), pytest.param("SELL", id="sell")]


def filled_at(order: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(order["fills"][0]["time"])


def complete(order: dict[str, Any], quantity: float = 100) -> None:
    """Fills, sums and statuses of a filled order agree."""
    fills = order["fills"]
    assert (order["filled"], order["remaining"]) == (quantity, 0)
    assert sum(fill["shares"] for fill in fills) == quantity
    value = sum(fill["shares"] * fill["price"] for fill in fills)
    assert order["avgFillPrice"] == pytest.approx(value / quantity)
    assert fills[-1]["cumQty"] == quantity
    assert fills[-1]["avgPrice"] == pytest.approx(value / quantity)
    assert len({fill["execId"] for fill in fills}) == len(fills)
    assert {fill["permId"] for fill in fills} == {order["permId"]}
    assert all(fill["currency"] == "USD" for fill in fills)


@pytest.mark.parametrize("side", SIDES)
def test_market(client: Client, world: World, side: str) -> None:
    order = client.reaches(client.place(AAPL, side, 100), "Filled")
    complete(order)
    now = quote(world, AAPL)
    best = now.ask if side == "BUY" else now.bid
    price = order["fills"][0]["price"]
    assert price == float(best)
    assert {fill["side"] for fill in order["fills"]} == {"BOT" if side == "BUY" else "SLD"}
    assert filled_at(order) == TEN_O_CLOCK
    assert order["fills"][0]["commission"] == 1


def test_a_large_market_order_walks_the_book(client: Client, world: World) -> None:
    shown = quote(world, AAPL).ask_size
    order = client.reaches(client.place(AAPL, "BUY", int(shown) + 200), "Filled")
    complete(order, int(shown) + 200)
    prices = [fill["price"] for fill in order["fills"]]
    assert len(prices) >= 2
    assert prices == sorted(prices)
    assert prices[0] == float(quote(world, AAPL).ask)


@pytest.mark.parametrize("side", SIDES)
def test_limit_that_fills_at_once(client: Client, world: World, side: str) -> None:
    now = quote(world, AAPL)
    limit = cents(now.ask + 1 if side == "BUY" else now.bid - 1)
    order = client.reaches(client.place(AAPL, side, 100, "LMT", lmtPrice=limit), "Filled")
    complete(order)
    assert order["fills"][0]["price"] == float(now.ask if side == "BUY" else now.bid), "not at the limit"


@pytest.mark.parametrize("side", SIDES)
def test_limit_that_waits(client: Client, world: World, side: str) -> None:
    below = side == "BUY"
    limit = future(world, AAPL).between(0.5, above=not below)
    number = client.place(AAPL, side, 100, "LMT", lmtPrice=float(limit))
    order = client.reaches(number, "Submitted")
    assert (order["filled"], order["remaining"], order["whyHeld"]) == (0, 100, "")
    world.advance(CLOSE)
    order = client.reaches(number, "Filled")
    complete(order)
    assert all((fill["price"] <= float(limit)) == below or fill["price"] == float(limit) for fill in order["fills"])
    assert filled_at(order) > TEN_O_CLOCK


@pytest.mark.parametrize("kind", ["STP", "STP LMT", "MIT", "LIT"])
@pytest.mark.parametrize("side", SIDES)
def test_triggered(client: Client, world: World, kind: str, side: str) -> None:
    stop = kind.startswith("STP")
    above = (side == "BUY") == stop
    coming = future(world, AAPL)
    trigger = coming.between(0.5, above=above)
    rest: dict[str, Any] = {"auxPrice": float(trigger)}
    if kind in ("STP LMT", "LIT"):
        rest["lmtPrice"] = cents(trigger + (1 if side == "BUY" else -1))
    number = client.place(AAPL, side, 100, kind, **rest)
    order = client.reaches(number, "PreSubmitted")
    assert order["whyHeld"] == "trigger"
    when = coming.when(trigger, above=above)
    world.advance(when - timedelta(seconds=1))
    client.call("time")
    assert client.order(number)["status"] == "PreSubmitted"
    world.advance(CLOSE)
    order = client.reaches(number, "Filled")
    complete(order)
    assert filled_at(order) == when
    assert order["statuses"][-1] == "Filled"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("percent", [False, True], ids=["amount", "percent"])
def test_trailing_stop(client: Client, world: World, side: str, percent: bool) -> None:
    coming = future(world, AAPL)
    last, sign = coming.prices("last"), 1 if side == "SELL" else -1
    amount = (abs(max(last) - min(last)) / 5).quantize(Decimal("0.01"))
    share = (amount / last[0] * 100).quantize(Decimal("0.01"))
    rest = {"trailingPercent": float(share)} if percent else {"auxPrice": float(amount)}
    number = client.place(AAPL, side, 100, "TRAIL", **rest)
    order = client.reaches(number, "PreSubmitted")
    assert order["whyHeld"] == "trigger"
    world.advance(CLOSE - MINUTE)
    order = client.reaches(number, "Filled")
    complete(order)
    index = coming.tape.index(filled_at(order)) - coming.first
    best = max(price * sign for price in last[:index]) * sign
    distance = best * share / 100 if percent else amount
    stops = [best * sign - distance - Decimal("0.01"), best * sign - distance + Decimal("0.01")]
    assert last[index] * sign <= stops[1], "elected when the stop is reached"
    assert last[index - 1] * sign > stops[0], "and not before"


@pytest.mark.parametrize("side", SIDES)
def test_trailing_stop_limit(client: Client, world: World, side: str) -> None:
    now, sign = future(world, AAPL).now, 1 if side == "SELL" else -1
    stop = cents(now - sign * 2)
    number = client.place(AAPL, side, 100, "TRAIL LIMIT", auxPrice=2.0, trailStopPrice=stop, lmtPriceOffset=0.5)
    order = client.reaches(number, "PreSubmitted")
    assert order["whyHeld"] == "trigger"
    assert world.engine.book.live()[0].stop == Decimal(str(stop))
    client.call("cancel", number=number)
    client.reaches(number, "Cancelled")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["MOC", "LOC"])
def test_closing_auction(client: Client, world: World, kind: str, side: str) -> None:
    close = future(world, AAPL).prices("last")[-1]
    limit = cents(close + (5 if side == "BUY" else -5))
    number = client.place(AAPL, side, 100, kind, **({"lmtPrice": limit} if kind == "LOC" else {}))
    world.advance(CLOSE - MINUTE)
    client.call("time")
    assert client.order(number)["filled"] == 0
    world.advance(CLOSE)
    order = client.reaches(number, "Filled")
    complete(order)
    assert order["avgFillPrice"] == float(close)
    assert filled_at(order) == CLOSE


def test_limit_on_close_that_misses_is_cancelled(client: Client, world: World) -> None:
    close = future(world, AAPL).prices("last")[-1]
    number = client.place(AAPL, "BUY", 100, "LOC", lmtPrice=cents(close - 5))
    world.advance(CLOSE + MINUTE)
    assert client.reaches(number, "Cancelled")["filled"] == 0


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["MKT", "LMT"])
def test_opening_auction(client: Client, world: World, kind: str, side: str) -> None:
    world.advance(CLOSE + 60 * MINUTE)
    limit = cents(float(quote(world, AAPL).last) * (1.3 if side == "BUY" else 0.7))
    number = client.place(AAPL, side, 100, kind, tif="OPG", **({"lmtPrice": limit} if kind == "LMT" else {}))
    world.advance(OPEN + DAY - MINUTE)
    client.call("time")
    assert client.order(number)["filled"] == 0
    world.advance(OPEN + DAY + MINUTE)
    order = client.reaches(number, "Filled")
    complete(order)
    assert filled_at(order) == OPEN + DAY
    opening = world.engine.market.tape_at(AAPL["conId"], OPEN + DAY)
    assert order["avgFillPrice"] == float(opening.price(int(opening.last[opening.regular[0]])))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["REL", "PEG PRIM", "PEG BEST", "MIDPRICE", "PEG MID"])
def test_pegged(client: Client, world: World, kind: str, side: str) -> None:
    number = client.place(AAPL, side, 100, kind)
    order = client.reaches(number, "Submitted")
    assert (order["filled"], order["whyHeld"]) == (0, "")
    world.advance(CLOSE)
    order = client.reaches(number, "Filled")
    complete(order)
    for fill in order["fills"]:
        before = world.engine.market.quote(AAPL["conId"], datetime.fromisoformat(fill["time"]) - MINUTE)
        middle = (before.bid + before.ask) / 2
        own = before.bid if side == "BUY" else before.ask
        assert fill["price"] == float(middle if kind in ("MIDPRICE", "PEG MID") else own)


@pytest.mark.parametrize("side", SIDES)
def test_pegged_to_the_other_side(client: Client, world: World, side: str) -> None:
    now = quote(world, AAPL)
    order = client.reaches(client.place(AAPL, side, 100, "PEG MKT"), "Filled")
    complete(order)
    assert order["fills"][0]["price"] == float(now.ask if side == "BUY" else now.bid)


@pytest.mark.parametrize("side", SIDES)
def test_market_to_limit(client: Client, world: World, side: str) -> None:
    now = quote(world, AAPL)
    order = client.reaches(client.place(AAPL, side, 10, "MTL"), "Filled")
    complete(order, 10)
    assert order["avgFillPrice"] == float(now.ask if side == "BUY" else now.bid)


@pytest.mark.parametrize("kind", ["LMT", "STP", "STP LMT", "TRAIL", "MIT", "LIT", "MOC", "LOC", "REL", "PEG PRIM"])
def test_cancel(client: Client, world: World, kind: str) -> None:
    now = float(quote(world, AAPL).last)
    far, near = cents(now * 0.8), cents(now * 1.2)
    prices: dict[str, dict[str, float]] = {
        "LMT": {"lmtPrice": far},
        "STP": {"auxPrice": near},
        "STP LMT": {"auxPrice": near, "lmtPrice": near},
        "TRAIL": {"auxPrice": cents(now * 0.2)},
        "MIT": {"auxPrice": far},
        "LIT": {"auxPrice": far, "lmtPrice": far},
        "LOC": {"lmtPrice": far},
    }
    number = client.place(AAPL, "BUY", 100, kind, **prices.get(kind, {}))
    working = "PreSubmitted" if kind in ("STP", "STP LMT", "TRAIL", "MIT", "LIT") else None
    if working:
        client.reaches(number, working)
    client.call("time")
    client.call("cancel", number=number)
    order = client.reaches(number, "Cancelled")
    assert (order["filled"], order["remaining"]) == (0, 100)
    assert client.code(202) == "Order Canceled - reason:"
    assert world.run(lambda: list(world.engine.book.live())) == []


@pytest.mark.parametrize("right", ["C", "P"])
def test_option_order(client: Client, world: World, right: str) -> None:
    known = qualified(client, option(world, right))
    now = quote(world, known)
    order = client.reaches(client.place(known, "BUY", 3), "Filled")
    complete(order, 3)
    assert order["fills"][0]["price"] == pytest.approx(float(now.ask))
    assert sum(fill["commission"] for fill in order["fills"]) == pytest.approx(3 * 0.65)


def test_future_order(client: Client, world: World) -> None:
    known = qualified(client, ES)
    now = quote(world, known)
    order = client.reaches(client.place(known, "BUY", 1), "Filled")
    complete(order, 1)
    assert order["fills"][0]["price"] == float(now.ask)
    assert sum(fill["commission"] for fill in order["fills"]) == pytest.approx(2.25)


def test_currency_order(client: Client, world: World) -> None:
    now = quote(world, EUR)
    order = client.reaches(client.place(EUR, "SELL", 20_000), "Filled")
    complete(order, 20_000)
    assert order["fills"][0]["price"] == pytest.approx(float(now.bid))
