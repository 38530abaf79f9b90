"""Orders that belong together: brackets, groups of which one cancels all, combinations."""

from datetime import timedelta
from decimal import Decimal

import pytest

from services.gateway.ports import RequestRefused
from shared.messages.broker_commands import ComboLeg, ModifyOrder, NetPrice, OrderTerms, PriceEffect, bracket
from shared.types import OrderStatus, OrderType, Side, TimeInForce
from tests.broker_port.stage import Stage, cents, limit, terms, until
from tests.conformance.market import CLOSE, OPEN


def family(ref: str, entry: Decimal, stop: Decimal, target: Decimal) -> tuple[OrderTerms, ...]:
    made = bracket(
        order_id=ref, symbol="AAPL", side=Side.BUY, quantity=Decimal(100), limit_price=entry, stop_price=stop,
        target_price=target, time_in_force=TimeInForce.DAY, expires_at=OPEN + timedelta(9),
    )  # fmt: skip
    return made.orders


async def test_bracket_arrives_as_one(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    await stage.submit(*family(ref, cents(last / 2), cents(last / 4), last * 2))
    for one in (ref, f"{ref}.stop", f"{ref}.target"):
        await stage.works(one)
    entry, stop, target = (stage.booked(one) for one in (ref, f"{ref}.stop", f"{ref}.target"))
    assert len(stage.received()) == 3
    assert (entry.request.limit_price, entry.request.action) == (cents(last / 2), "BUY")
    assert (stop.request.order_type, stop.request.aux_price) == ("STP", cents(last / 4))
    assert (target.request.order_type, target.request.limit_price) == ("LMT", last * 2)
    assert {stop.request.parent_id, target.request.parent_id} == {entry.request.order_id}
    assert {stop.request.action, target.request.action} == {"SELL"}
    assert {stop.request.time_in_force, target.request.time_in_force} == {"GTC"}
    assert {stop.why_held, target.why_held} == {"child,trigger", "child"}


@pytest.mark.parametrize("winner", ["stop", "target"])
async def test_bracket_from_entry_to_exit(stage: Stage, winner: str) -> None:
    coming, ref = stage.future(), stage.ref("b")
    stop = coming.between(0.5, above=False) if winner == "stop" else cents(coming.now / 2)
    target = coming.between(0.5, above=True) if winner == "target" else cents(coming.now * 2)
    await stage.submit(*family(ref, stage.market().ask + 1, stop, target))
    await stage.filled(ref)
    stage.advance(CLOSE)
    (fill, *_) = await stage.filled(f"{ref}.{winner}")
    loser = "target" if winner == "stop" else "stop"
    assert (await stage.order(f"{ref}.{loser}", OrderStatus.CANCELLED)).filled == 0
    assert fill.side is Side.SELL
    assert (await stage.broker.snapshot(stage.account, None)).positions == ()


async def test_cancelled_entry_takes_its_children_along(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    await stage.submit(*family(ref, cents(last / 2), cents(last / 4), last * 2))
    await stage.works(f"{ref}.target")
    await stage.cancel(ref)
    for one in (ref, f"{ref}.stop", f"{ref}.target"):
        await stage.order(one, OrderStatus.CANCELLED)
    assert stage.working() == []


async def test_cancelled_child_leaves_the_entry(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    await stage.submit(*family(ref, cents(last / 2), cents(last / 4), last * 2))
    await stage.works(f"{ref}.stop")
    await stage.cancel(f"{ref}.stop")
    await stage.order(f"{ref}.stop", OrderStatus.CANCELLED)
    assert (await stage.works(ref)).status is OrderStatus.SUBMITTED


async def test_child_can_be_changed(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    await stage.submit(*family(ref, stage.market().ask + 1, cents(last / 2), last * 2))
    await stage.filled(ref)
    await stage.works(f"{ref}.stop")
    wanted = cents(last * Decimal("0.6"))
    await stage.broker.orders.modify(ModifyOrder(order_ref=f"{ref}.stop", trigger_price=wanted))
    await until(lambda: stage.booked(f"{ref}.stop").request.aux_price == wanted, "changed at the broker")
    assert stage.booked(f"{ref}.stop").request.parent_id == stage.booked(ref).request.order_id


async def test_refused_entry_refuses_its_children(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    sent = family(ref, last, cents(last / 4), last * 2)
    await stage.submit(*(order.model_copy(update={"quantity": Decimal(10**6)}) for order in sent))
    await stage.order(ref, OrderStatus.REJECTED)
    assert stage.working() == []


async def test_a_family_with_a_member_that_cannot_be_sent_is_not_sent(stage: Stage) -> None:
    last, ref = cents(stage.market().last), stage.ref("b")
    entry, stop, target = family(ref, cents(last / 2), cents(last / 4), last * 2)
    with pytest.raises(RequestRefused):
        await stage.submit(entry, stop, target.model_copy(update={"symbol": "NOSUCH"}))
    await stage.settle()
    assert stage.received() == []


async def test_group_of_which_one_cancels_all(stage: Stage) -> None:
    near, group = stage.future().between(0.3, above=False), stage.ref("group")
    first, second = stage.ref("first"), stage.ref("second")
    far = cents(stage.market("IBM").last / 2)
    await stage.submit(limit(first, near, oca_group=group), limit(second, far, symbol="IBM", oca_group=group))
    await stage.works(first)
    await stage.works(second)
    stage.advance(CLOSE)
    await stage.filled(first)
    assert (await stage.order(second, OrderStatus.CANCELLED)).filled == 0


async def test_groups_are_apart(stage: Stage) -> None:
    low, refs = cents(stage.market().last / 2), [stage.ref(name) for name in ("a1", "a2", "b1", "b2")]
    for one, two in (refs[:2], refs[2:]):
        await stage.submit(limit(one, low, oca_group=one), limit(two, low, oca_group=one))
    for ref in refs:
        await stage.works(ref)
    groups = [stage.booked(ref).oca_group for ref in refs]
    assert groups[0] == groups[1] != groups[2] == groups[3]


# Combinations. "near" is a call at the money, "far" one two strikes above it, which is worth less.


def spread(stage: Stage, ref: str, side: Side, net: NetPrice | None, *, bought: str, sold: str) -> OrderTerms:
    legs = (ComboLeg(symbol=bought, side=Side.BUY), ComboLeg(symbol=sold, side=Side.SELL))
    kind = OrderType.MARKET if net is None else OrderType.LIMIT
    return terms(ref, kind, side=side, quantity=1, legs=legs, net_price=net)


def calls(stage: Stage) -> tuple[str, str]:
    return stage.option("C"), stage.option("C", 2)


def money(effect: PriceEffect, amount: Decimal) -> NetPrice:
    return NetPrice(effect=effect, amount=amount)


EFFECTS = [
    # side, which leg the combination buys, what the money does, sign of IBKR's price
    pytest.param(Side.BUY, "near", PriceEffect.DEBIT, 1, id="buy-debit"),
    pytest.param(Side.BUY, "far", PriceEffect.CREDIT, -1, id="buy-credit"),
    pytest.param(Side.SELL, "near", PriceEffect.CREDIT, 1, id="sell-credit"),
    pytest.param(Side.SELL, "far", PriceEffect.DEBIT, -1, id="sell-debit"),
]


@pytest.mark.parametrize(("side", "bought", "effect", "sign"), EFFECTS)
async def test_net_price_arrives_with_its_sign(
    stage: Stage, side: Side, bought: str, effect: PriceEffect, sign: int
) -> None:
    near, far = calls(stage)
    first, second = (near, far) if bought == "near" else (far, near)
    # so small a debit, or so large a credit, that nobody takes it
    amount = Decimal("0.01") if effect is PriceEffect.DEBIT else Decimal(90)
    ref = stage.ref("combo")
    await stage.submit(spread(stage, ref, side, money(effect, amount), bought=first, sold=second))
    await stage.works(ref)
    request = stage.booked(ref).request
    assert (request.action, request.order_type, request.limit_price) == (side.value, "LMT", sign * amount)
    ids = (stage.listed(first).contract_id, stage.listed(second).contract_id)
    assert {(leg.contract_id, leg.action, leg.ratio) for leg in request.legs} == {
        (ids[0], "BUY", 1),
        (ids[1], "SELL", 1),
    }


@pytest.mark.parametrize(("side", "bought", "effect", "sign"), EFFECTS)
async def test_combination_fills_at_its_net_price_or_better(
    stage: Stage, side: Side, bought: str, effect: PriceEffect, sign: int
) -> None:
    near, far = calls(stage)
    first, second = (near, far) if bought == "near" else (far, near)
    holds_near = (side is Side.BUY) == (bought == "near")
    # what one has to pay for, or gets for, near minus far right now
    costs, brings = stage.market(near).ask - stage.market(far).bid, stage.market(near).bid - stage.market(far).ask
    amount, ref = costs if holds_near else brings, stage.ref("combo")
    assert amount > 0
    assert (effect is PriceEffect.DEBIT) == holds_near
    cash = stage.simulator.engine.valuation().cash
    await stage.submit(spread(stage, ref, side, money(effect, amount), bought=first, sold=second))
    fills = await stage.filled(ref)
    (whole,) = [fill for fill in fills if fill.combination]
    assert (whole.price, whole.side, whole.quantity) == (sign * amount, side, 1)
    spent = cash - stage.simulator.engine.valuation().cash - stage.booked(ref).commission
    assert spent == (100 * amount if holds_near else -100 * amount)
    legs = {fill.symbol: fill.side for fill in fills if not fill.combination}
    assert legs == {near: Side.BUY if holds_near else Side.SELL, far: Side.SELL if holds_near else Side.BUY}


async def test_combination_at_market_moves_the_positions_of_its_legs(stage: Stage) -> None:
    near, far = calls(stage)
    ref = stage.ref("combo")
    await stage.submit(spread(stage, ref, Side.BUY, None, bought=near, sold=far))
    fills = await stage.filled(ref)
    assert [fill.combination for fill in fills].count(True) == 1
    assert {fill.multiplier for fill in fills if not fill.combination} == {100}
    positions = (await stage.broker.snapshot(stage.account, None)).positions
    assert {held.symbol: held.quantity for held in positions} == {near: 1, far: -1}


async def test_ratios(stage: Stage) -> None:
    near, far = calls(stage)
    ref, legs = (
        stage.ref("combo"),
        (ComboLeg(symbol=near, side=Side.BUY), ComboLeg(symbol=far, side=Side.SELL, ratio=2)),
    )
    await stage.submit(terms(ref, quantity=2, legs=legs))
    fills = [fill for fill in await stage.filled(ref) if not fill.combination]
    sums = {symbol: sum(fill.quantity for fill in fills if fill.symbol == symbol) for symbol in (near, far)}
    assert sums == {near: 2, far: 4}


async def test_stock_and_option(stage: Stage) -> None:
    """A covered call: 100 shares to each call sold."""
    call, ref = stage.option("C", 2), stage.ref("combo")
    legs = (ComboLeg(symbol="AAPL", side=Side.BUY, ratio=100), ComboLeg(symbol=call, side=Side.SELL))
    await stage.submit(terms(ref, quantity=1, legs=legs))
    await stage.filled(ref)
    positions = (await stage.broker.snapshot(stage.account, None)).positions
    assert {held.symbol: held.quantity for held in positions} == {"AAPL": 100, call: -1}


async def test_net_price_can_be_changed(stage: Stage) -> None:
    near, far = calls(stage)
    costs, ref = stage.market(near).ask - stage.market(far).bid, stage.ref("combo")
    await stage.submit(spread(stage, ref, Side.BUY, money(PriceEffect.DEBIT, Decimal("0.01")), bought=near, sold=far))
    await stage.works(ref)
    await stage.broker.orders.modify(ModifyOrder(order_ref=ref, net_price=money(PriceEffect.DEBIT, costs)))
    await stage.filled(ref)
    assert stage.booked(ref).request.limit_price == costs
    assert len(stage.received("modify")) == 1


async def test_combination_is_known_to_a_second_connection(stage: Stage) -> None:
    near, far = calls(stage)
    ref = stage.ref("combo")
    await stage.submit(spread(stage, ref, Side.BUY, money(PriceEffect.DEBIT, Decimal("0.01")), bought=near, sold=far))
    await stage.works(ref)
    stage.broker.disconnect()
    await stage.connect()
    snapshot = await stage.broker.snapshot(stage.account, None)
    assert [order.order_ref for order in snapshot.orders] == [ref]
    await stage.broker.orders.cancel(ref, snapshot.orders[0].broker_order_id)
    await stage.order(ref, OrderStatus.CANCELLED)
    assert stage.working() == []


async def test_combination_with_a_leg_that_is_not_listed(stage: Stage) -> None:
    near, ref = stage.option("C"), stage.ref("combo")
    legs = (ComboLeg(symbol=near, side=Side.BUY), ComboLeg(symbol="AAPL  240621C00000500", side=Side.SELL))
    with pytest.raises(RequestRefused):
        await stage.submit(terms(ref, quantity=1, legs=legs))
    assert stage.received() == []
