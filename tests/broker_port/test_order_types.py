"""Every order type: it arrives as it was asked for, waits, and fills as it should."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.ports import Ability
from shared.messages.broker_commands import OrderTerms
from shared.types import OrderStatus, OrderType, Side
from tests.broker_port.stage import Desk, Stage, cents, limit, terms
from tests.conformance.market import CLOSE, MINUTE

BEYOND_STOPS = pytest.mark.needs(Ability.ORDER_TYPES_BEYOND_STOPS)
OFFSET, AMOUNT = Decimal("0.05"), Decimal("2.50")
SIMPLE = {
    OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP,
    OrderType.TRAILING_STOP_LIMIT,
}  # fmt: skip
Prices = Mapping[str, Decimal]


def asked(kind: OrderType, last: Decimal) -> tuple[Prices, Prices]:
    """Terms to buy in a way that does not fill at once, and the same in the words of the simulator's books."""
    low, high = cents(last * Decimal("0.8")), cents(last * Decimal("1.2"))
    trailing = {"trailing_amount": AMOUNT, "trigger_price": high}
    booked_trailing = {"aux_price": AMOUNT, "trail_stop_price": high}
    pegged, booked_peg = {"limit_offset": OFFSET, "price_cap": low}, {"aux_price": OFFSET, "price_cap": low}
    table: dict[OrderType, tuple[Prices, Prices]] = {
        OrderType.LIMIT: ({"limit_price": low}, {"limit_price": low}),
        OrderType.LIMIT_ON_CLOSE: ({"limit_price": low}, {"limit_price": low}),
        OrderType.STOP: ({"trigger_price": high}, {"aux_price": high}),
        OrderType.STOP_LIMIT: (
            {"trigger_price": high, "limit_price": high + 1},
            {"aux_price": high, "limit_price": high + 1},
        ),
        OrderType.TRAILING_STOP: (trailing, booked_trailing),
        OrderType.TRAILING_STOP_LIMIT: (
            {**trailing, "limit_offset": OFFSET},
            {**booked_trailing, "limit_price_offset": OFFSET},
        ),
        OrderType.MARKET_IF_TOUCHED: ({"trigger_price": low}, {"aux_price": low}),
        OrderType.LIMIT_IF_TOUCHED: (
            {"trigger_price": low, "limit_price": low + 1},
            {"aux_price": low, "limit_price": low + 1},
        ),
        OrderType.RELATIVE: (pegged, booked_peg),
        OrderType.PEGGED_TO_MIDPOINT: (pegged, booked_peg),
        OrderType.PEGGED_TO_MARKET: (pegged, booked_peg),
        OrderType.PEGGED_TO_BEST: (pegged, booked_peg),
        OrderType.MIDPRICE: ({"price_cap": low}, {"price_cap": low}),
    }
    return table.get(kind, ({}, {}))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in SIMPLE else BEYOND_STOPS, id=kind) for kind in OrderType]
)
async def test_it_arrives_as_it_was_asked_for(stage: Stage, kind: OrderType) -> None:
    ref = stage.ref("order")
    given, wanted = asked(kind, stage.market().last)
    await stage.submit(terms(ref, kind, **given))
    request = stage.booked(ref).request
    assert (request.order_type, request.action, request.quantity) == (kind.value, "BUY", 100)
    assert (request.account, request.time_in_force, request.transmit) == (stage.account, "DAY", True)
    assert request.contract_id == stage.listed("AAPL").contract_id
    assert {name: getattr(request, name) for name in wanted} == wanted
    report = await stage.order(ref, OrderStatus.SUBMITTED, OrderStatus.FILLED)
    assert report.remaining + report.filled == 100


@pytest.mark.parametrize("kind", [OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT])
async def test_trailing_by_percent(stage: Stage, kind: OrderType) -> None:
    ref, rest = stage.ref("order"), {"limit_offset": OFFSET} if kind is OrderType.TRAILING_STOP_LIMIT else {}
    high = cents(stage.market().last * Decimal("1.2"))
    await stage.submit(terms(ref, kind, trailing_percent=Decimal("1.5"), trigger_price=high, **rest))
    request = stage.booked(ref).request
    assert (request.order_type, request.trailing_percent, request.aux_price) == (kind.value, Decimal("1.5"), None)
    assert request.trail_stop_price == high


@pytest.mark.parametrize("side", list(Side))
async def test_market(stage: Stage, side: Side) -> None:
    ref, now = stage.ref("order"), stage.market()
    await stage.submit(terms(ref, side=side))
    (fill,) = await stage.filled(ref)
    assert (fill.symbol, fill.side, fill.quantity) == ("AAPL", side, 100)
    assert fill.price == (now.ask if side is Side.BUY else now.bid)
    assert fill.time == stage.now
    assert (await stage.order(ref, OrderStatus.FILLED)).average_price == fill.price


@pytest.mark.parametrize("side", list(Side))
async def test_limit_fills_at_the_market_not_at_its_limit(stage: Stage, side: Side) -> None:
    ref, now = stage.ref("order"), stage.market()
    price = cents(now.ask + 1 if side is Side.BUY else now.bid - 1)
    await stage.submit(limit(ref, price, side=side))
    (fill,) = await stage.filled(ref)
    assert fill.price == (now.ask if side is Side.BUY else now.bid)
    report = await stage.order(ref, OrderStatus.FILLED)
    assert (report.limit_price, report.filled, report.remaining) == (price, 100, 0)


@pytest.mark.parametrize("side", list(Side))
async def test_limit_waits_for_its_price(stage: Stage, side: Side) -> None:
    ref, price = stage.ref("order"), stage.future().between(0.5, above=side is Side.SELL)
    await stage.submit(limit(ref, price, side=side))
    report = await stage.works(ref)
    assert (report.filled, report.remaining, report.limit_price) == (0, 100, price)
    assert report.perm_id
    stage.advance(CLOSE)
    fills = await stage.filled(ref)
    assert all(fill.price * side.sign <= price * side.sign for fill in fills)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "kind",
    [
        OrderType.STOP,
        OrderType.STOP_LIMIT,
        pytest.param(OrderType.MARKET_IF_TOUCHED, marks=BEYOND_STOPS),
        pytest.param(OrderType.LIMIT_IF_TOUCHED, marks=BEYOND_STOPS),
    ],
)
async def test_trigger(stage: Stage, kind: OrderType, side: Side) -> None:
    stop, limited = (
        kind in (OrderType.STOP, OrderType.STOP_LIMIT),
        kind in (OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED),
    )
    above = (side is Side.BUY) == stop
    coming, ref = stage.future(), stage.ref("order")
    trigger = coming.between(0.5, above=above)
    rest = {"limit_price": trigger + side.sign} if limited else {}
    await stage.submit(terms(ref, kind, side=side, trigger_price=trigger, **rest))
    assert (await stage.works(ref)).trigger_price == trigger
    when = coming.when(trigger, above=above)
    stage.advance(when - timedelta(seconds=1))
    await stage.settle()
    assert stage.fills(ref) == []
    stage.advance(CLOSE)
    assert (await stage.filled(ref))[0].time == when


@pytest.mark.parametrize("percent", [False, True], ids=["amount", "percent"])
async def test_trailing_stop_follows_and_fills(stage: Stage, percent: bool) -> None:
    last, ref = stage.future().prices("last"), stage.ref("order")
    amount = cents(abs(max(last) - min(last)) / 5)
    rest = {"trailing_percent": cents(amount / last[0] * 100)} if percent else {"trailing_amount": amount}
    await stage.submit(terms(ref, OrderType.TRAILING_STOP, side=Side.SELL, **rest))
    await stage.works(ref)
    stage.advance(CLOSE - MINUTE)
    fills = await stage.filled(ref)
    highest = max(price for price, time in zip(last, times(stage), strict=False) if time < fills[0].time)
    assert highest > last[0], "it has followed the price up"
    assert abs(highest - amount - fills[0].price) < amount / 2


def times(stage: Stage) -> list[Any]:
    tape = stage.future().tape
    first = tape.index(CLOSE - timedelta(hours=6))
    return [tape.time(index) for index in range(first, len(tape))]


@BEYOND_STOPS
@pytest.mark.parametrize("kind", [OrderType.MARKET_ON_CLOSE, OrderType.LIMIT_ON_CLOSE])
async def test_close(stage: Stage, kind: OrderType) -> None:
    ref, close = stage.ref("order"), stage.future().prices("last")[-1]
    rest = {"limit_price": close + 5} if kind is OrderType.LIMIT_ON_CLOSE else {}
    await stage.submit(terms(ref, kind, **rest))
    stage.advance(CLOSE)
    assert {(fill.price, fill.time) for fill in await stage.filled(ref)} == {(close, CLOSE)}


@BEYOND_STOPS
@pytest.mark.parametrize(
    "kind", [OrderType.RELATIVE, OrderType.PEGGED_TO_BEST, OrderType.PEGGED_TO_MIDPOINT, OrderType.MIDPRICE]
)
async def test_pegged_order_waits_and_fills_no_worse_than_the_market(stage: Stage, kind: OrderType) -> None:
    ref = stage.ref("order")
    await stage.submit(terms(ref, kind))
    assert (await stage.works(ref)).filled == 0
    stage.advance(CLOSE)
    for fill in await stage.filled(ref):
        market = stage.simulator.engine.market.quote(stage.listed("AAPL").contract_id, fill.time - MINUTE)
        assert market is not None
        assert fill.price <= market.ask


@BEYOND_STOPS
@pytest.mark.parametrize("kind", [OrderType.MARKET_TO_LIMIT, OrderType.PEGGED_TO_MARKET])
async def test_order_that_takes_the_market(stage: Stage, kind: OrderType) -> None:
    ref, now = stage.ref("order"), stage.market()
    await stage.submit(terms(ref, kind, quantity=10))
    assert {fill.price for fill in await stage.filled(ref)} == {now.ask}


@pytest.mark.parametrize(("symbol", "quantity"), [("option", 3), ("/ESM4", 1), ("EUR.USD", 20_000), ("SPY", 100)])
async def test_other_instruments(stage: Stage, symbol: str, quantity: int) -> None:
    name, ref = stage.option() if symbol == "option" else symbol, stage.ref("order")
    now = stage.market(name)
    await stage.submit(terms(ref, symbol=name, quantity=quantity))
    fills = await stage.filled(ref)
    assert sum(fill.quantity for fill in fills) == quantity
    assert {(fill.symbol, fill.price) for fill in fills} == {(name, now.ask)}
    assert {fill.multiplier for fill in fills} == {stage.listed(name).multiplier}


async def test_far_limit_order_works_until_it_is_cancelled(desk: Desk) -> None:
    ref, price = desk.ref("far"), cents(await desk.price() / 2)
    await desk.submit(far(ref, price))
    report = await desk.works(ref)
    assert (report.limit_price, report.filled, report.remaining) == (price, 0, 1)
    await desk.cancel(ref)
    await desk.order(ref, OrderStatus.CANCELLED)


def far(ref: str, price: Decimal) -> OrderTerms:
    return limit(ref, price, quantity=1)
