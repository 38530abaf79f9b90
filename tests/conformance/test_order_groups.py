"""Brackets, one-cancels-all groups, combinations and exercise."""

from datetime import timedelta

import pytest

from tests.conformance.harness import Client, World, until
from tests.conformance.market import (
    AAPL,
    ACCOUNT,
    CLOSE,
    DAY,
    IBM,
    MINUTE,
    TEN_O_CLOCK,
    Contract,
    cents,
    combo,
    future,
    option,
    qualified,
    quote,
)


def bracket(client: Client, entry: float | None, target: float, stop: float, quantity: int = 100) -> list[int]:
    first = {"kind": "MKT"} if entry is None else {"kind": "LMT", "lmtPrice": entry}
    parent = client.place(AAPL, "BUY", quantity, transmit=False, **first)
    profit = client.place(AAPL, "SELL", quantity, "LMT", lmtPrice=target, parentId=parent, transmit=False, tif="GTC")
    loss = client.place(AAPL, "SELL", quantity, "STP", auxPrice=stop, parentId=parent, transmit=True, tif="GTC")
    return [parent, profit, loss]


def test_bracket_is_held_until_its_last_order_comes(client: Client, world: World) -> None:
    price = cents(quote(world, AAPL).last)
    parent, profit, loss = bracket(client, cents(price * 0.8), cents(price * 1.2), cents(price * 0.7))
    client.reaches(parent, "Submitted")
    first, second = (client.reaches(number, "PreSubmitted") for number in (profit, loss))
    assert first["whyHeld"] == "child"
    assert second["whyHeld"] == "child,trigger"
    assert {first["parentId"], second["parentId"]} == {parent}


@pytest.mark.parametrize("winner", ["profit", "loss"])
def test_bracket_from_entry_to_exit(client: Client, world: World, winner: str) -> None:
    coming = future(world, AAPL)
    price = float(coming.now)
    target = float(coming.between(0.5, above=True)) if winner == "profit" else cents(price * 1.2)
    stop = float(coming.between(0.5, above=False)) if winner == "loss" else cents(price * 0.7)
    parent, profit, loss = bracket(client, None, target, stop)
    client.reaches(parent, "Filled")
    client.reaches(profit, "Submitted")
    world.advance(CLOSE)
    won, lost = (profit, loss) if winner == "profit" else (loss, profit)
    order = client.reaches(won, "Filled")
    assert client.reaches(lost, "Cancelled")["filled"] == 0
    assert order["fills"][-1]["realizedPNL"] is not None
    assert (order["avgFillPrice"] >= target) if winner == "profit" else (order["avgFillPrice"] <= stop)
    account = world.engine.accounts[ACCOUNT]
    assert [position for position in account.positions.values() if position.quantity] == []


def test_cancelling_the_entry_cancels_its_children(client: Client, world: World) -> None:
    price = cents(quote(world, AAPL).last)
    numbers = bracket(client, cents(price * 0.8), cents(price * 1.2), cents(price * 0.7))
    client.reaches(numbers[2], "PreSubmitted")
    client.call("cancel", number=numbers[0])
    for number in numbers:
        client.reaches(number, "Cancelled")


def test_cancelling_a_child_leaves_the_others(client: Client, world: World) -> None:
    price = cents(quote(world, AAPL).last)
    parent, profit, loss = bracket(client, cents(price * 0.8), cents(price * 1.2), cents(price * 0.7))
    client.reaches(loss, "PreSubmitted")
    client.call("cancel", number=loss)
    client.reaches(loss, "Cancelled")
    client.call("time")
    assert client.order(parent)["status"] == "Submitted"
    assert client.order(profit)["status"] in ("PreSubmitted", "Cancelled")


def test_a_child_can_be_changed(client: Client, world: World) -> None:
    price = cents(quote(world, AAPL).last)
    parent, profit, _loss = bracket(client, None, cents(price * 1.2), cents(price * 0.7))
    client.reaches(parent, "Filled")
    client.reaches(profit, "Submitted")
    client.call("modify", number=profit, changes={"lmtPrice": cents(quote(world, AAPL).bid * 9 / 10)})
    client.call("time")
    world.advance(TEN_O_CLOCK + MINUTE)
    client.reaches(profit, "Filled")


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_one_cancels_all(client: Client, world: World, kind: int) -> None:
    coming = future(world, AAPL)
    near = float(coming.between(0.3, above=False))
    group = {"ocaGroup": f"group {kind}", "ocaType": kind}
    first = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=near, **group)
    second = client.place(IBM, "BUY", 100, "LMT", lmtPrice=cents(float(quote(world, IBM).last) * 0.5), **group)
    client.reaches(first, "Submitted")
    client.reaches(second, "Submitted")
    world.advance(CLOSE - MINUTE)
    assert client.reaches(first, "Filled")["filled"] == 100
    assert client.reaches(second, "Cancelled")["filled"] == 0


@pytest.mark.parametrize("kind", [2, 3])
def test_partial_fill_reduces_the_others(client: Client, world: World, kind: int) -> None:
    now = quote(world, AAPL)
    quantity = int(now.ask_size) + 500
    group = {"ocaGroup": "reduce", "ocaType": kind}
    other = client.place(IBM, "BUY", quantity, "LMT", lmtPrice=cents(float(quote(world, IBM).last) * 0.5), **group)
    client.reaches(other, "Submitted")
    first = client.place(AAPL, "BUY", quantity, "LMT", lmtPrice=cents(now.ask), **group)
    until(lambda: client.order(first)["filled"], lambda filled: filled == now.ask_size)
    until(lambda: client.order(other)["remaining"], lambda remaining: remaining == quantity - now.ask_size)


def spread(client: Client, world: World, right: str = "C") -> tuple[Contract, Contract, Contract]:
    near, far = (qualified(client, option(world, right, places)) for places in (0, 2))
    return combo((near, "BUY", 1), (far, "SELL", 1)), near, far


@pytest.mark.parametrize("right", ["C", "P"])
def test_combination_at_market(client: Client, world: World, right: str) -> None:
    contract, near, far = spread(client, world, right)
    number = client.place(contract, "BUY", 2)
    order = client.reaches(number, "Filled")
    assert order["filled"] == 2
    fills = until(lambda: client.call("fills"), lambda fills: len(fills) >= 3)
    whole = [fill for fill in fills if fill["contract"]["secType"] == "BAG"]
    legs = {fill["contract"]["conId"]: fill for fill in fills if fill["contract"]["secType"] == "OPT"}
    assert {near["conId"], far["conId"]} == set(legs)
    costs = until(
        lambda: [fill["commission"] for fill in client.call("fills") if fill["contract"]["secType"] == "OPT"], all
    )
    assert sum(costs) == pytest.approx(2 * 2 * 0.65)
    assert (legs[near["conId"]]["side"], legs[far["conId"]]["side"]) == ("BOT", "SLD")
    assert sum(fill["shares"] for fill in whole) == 2
    net = legs[near["conId"]]["price"] - legs[far["conId"]]["price"]
    assert whole[0]["price"] == pytest.approx(net)
    held = {item["contract"]["conId"]: item["position"] for item in client.call("positions", fresh=True)}
    assert held == {near["conId"]: 2, far["conId"]: -2}


def test_combination_with_a_limit_waits(client: Client, world: World) -> None:
    contract, near, far = spread(client, world)
    natural = float(quote(world, near).ask - quote(world, far).bid)
    number = client.place(contract, "BUY", 1, "LMT", lmtPrice=cents(natural - 0.5))
    client.reaches(number, "Submitted")
    client.connect(2, session="other")
    (seen,) = client.call("open_orders", "other", every_client=True)
    assert seen["contract"]["secType"] == "BAG"
    assert [(leg["conId"], leg["ratio"], leg["action"]) for leg in seen["contract"]["comboLegs"]] == [
        (near["conId"], 1, "BUY"),
        (far["conId"], 1, "SELL"),
    ]
    client.call("modify", number=number, changes={"lmtPrice": cents(natural + 0.1)})
    order = client.reaches(number, "Filled")
    assert order["avgFillPrice"] <= natural + 0.1


def test_sold_combination_brings_money(client: Client, world: World) -> None:
    contract, _near, _far = spread(client, world)
    order = client.reaches(client.place(contract, "SELL", 1), "Filled")
    assert order["avgFillPrice"] > 0
    cash = world.engine.accounts[ACCOUNT].cash
    assert float(cash) == pytest.approx(1_000_000 + 100 * order["avgFillPrice"] - 2, abs=1.5)


def test_cancel_of_a_combination(client: Client, world: World) -> None:
    contract, near, far = spread(client, world)
    natural = float(quote(world, near).ask - quote(world, far).bid)
    number = client.place(contract, "BUY", 1, "LMT", lmtPrice=cents(natural - 0.5))
    client.reaches(number, "Submitted")
    client.call("cancel", number=number)
    client.reaches(number, "Cancelled")


def test_combination_without_legs_is_refused(client: Client, world: World) -> None:
    contract = {"symbol": "AAPL", "secType": "BAG", "exchange": "SMART", "currency": "USD"}
    number = client.place(contract, "BUY", 1)
    until(lambda: client.call("errors"), lambda errors: number in [error[0] for error in errors])
    assert world.engine.executions == []


def test_exercise(client: Client, world: World) -> None:
    known = qualified(client, option(world, "C", -3))
    client.reaches(client.place(known, "BUY", 1), "Filled")
    client.call("exercise", contract=known, action=1, quantity=1, account=ACCOUNT, force=True)
    client.call("time")
    world.advance(TEN_O_CLOCK + DAY)
    held = {item["contract"]["secType"]: item["position"] for item in client.call("positions", fresh=True)}
    assert held == {"STK": 100}


@pytest.mark.parametrize("places", [-3, 3], ids=["in-the-money", "out-of-the-money"])
def test_expiry(client: Client, world: World, places: int) -> None:
    world.advance(TEN_O_CLOCK + 4 * DAY)
    known = qualified(client, option(world, "C", places, expiry="20240607"))
    client.reaches(client.place(known, "BUY", 1), "Filled")
    close = future(world, AAPL).prices("last")[-1]
    world.advance(CLOSE + 7 * DAY + timedelta(hours=-1))
    held = {item["contract"]["secType"]: item["position"] for item in client.call("positions", fresh=True)}
    assert held == ({"STK": 100} if float(close) > known["strike"] else {})
