"""Lists of orders and executions, what other clients see, and coming back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.harness import Client, Driver, World, until
from tests.conformance.market import AAPL, ACCOUNT, DAY, IBM, OPEN, TEN_O_CLOCK, cents, quote


def resting(client: Client, world: World, **more: Any) -> int:
    price = cents(float(quote(world, AAPL).last) * 0.8)
    session = more.get("session", "main")
    number = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=price, **more)
    client.reaches(number, "Submitted", session)
    return number


def test_open_orders(client: Client, world: World) -> None:
    numbers = [resting(client, world, orderRef=name) for name in ("a", "b")]
    seen = client.call("open_orders")
    assert sorted(order["orderId"] for order in seen) == sorted(numbers)
    assert {order["order"]["orderRef"] for order in seen} == {"a", "b"}


def test_orders_of_other_clients(client: Client, world: World) -> None:
    number = resting(client, world)
    client.connect(2, session="other")
    assert client.call("open_orders", "other") == []
    (seen,) = client.call("open_orders", "other", every_client=True)
    assert (seen["orderId"], seen["clientId"]) == (number, 1)
    assert seen["status"] == "Submitted"


def test_fills_of_other_clients_are_not_told(client: Client) -> None:
    client.connect(2, session="other")
    client.reaches(client.place(AAPL, "BUY", 10), "Filled")
    client.call("time", "other")
    assert client.call("fills", "other") == []
    (seen,) = client.call("executions", "other")
    assert seen["shares"] == 10


def test_master_client_sees_everything(driver: Driver, make_world: Callable[..., World]) -> None:
    world = make_world(master_client_id=9)
    world.advance(TEN_O_CLOCK)
    client = Client(driver, world)
    client.connect(1)
    client.connect(9, session="master")
    client.reaches(client.place(AAPL, "BUY", 10), "Filled")
    fills = until(lambda: client.call("fills", "master"))
    assert fills[0]["clientId"] == 1
    complaints = client.finish()
    assert [text for text in complaints if "No order found" not in text] == []


def test_permanent_ids_are_unique(client: Client, world: World) -> None:
    numbers = [resting(client, world) for _ in range(3)]
    ids = {client.order(number)["permId"] for number in numbers}
    assert len(ids) == 3
    assert min(ids) > 100_000


@pytest.mark.parametrize(
    ("wanted", "symbols"),
    [
        ({}, ["AAPL", "IBM"]),
        ({"symbol": "IBM"}, ["IBM"]),
        ({"side": "BUY"}, ["AAPL", "IBM"]),
        ({"side": "SELL"}, []),
        ({"secType": "OPT"}, []),
        ({"secType": "STK"}, ["AAPL", "IBM"]),
        ({"time": "20240603 10:30:00 US/Eastern"}, ["IBM"]),
        ({"time": "20240603-14:30:00"}, ["IBM"]),
        ({"clientId": 7}, []),
        ({"acctCode": ACCOUNT}, ["AAPL", "IBM"]),
    ],
    ids=lambda value: "-".join(map(str, value.values())) or "all" if isinstance(value, dict) else "",
)
def test_executions(client: Client, world: World, wanted: dict[str, Any], symbols: list[str]) -> None:
    client.reaches(client.place(AAPL, "BUY", 10), "Filled")
    world.advance(TEN_O_CLOCK + timedelta(hours=1))
    client.reaches(client.place(IBM, "BUY", 10), "Filled")
    found = client.call("executions", **wanted)
    assert sorted(fill["contract"]["symbol"] for fill in found) == symbols
    until(lambda: [fill["commission"] for fill in client.call("fills")], lambda paid: paid == [1, 1])


def test_executions_are_of_today_only(client: Client, world: World) -> None:
    client.reaches(client.place(AAPL, "BUY", 10), "Filled")
    assert len(client.call("executions")) == 1
    world.advance(OPEN + DAY)
    client.connect(2, session="other")
    assert client.call("executions", "other") == []


def test_completed_orders(client: Client, world: World) -> None:
    client.reaches(client.place(AAPL, "BUY", 10, orderRef="filled"), "Filled")
    cancelled = resting(client, world, orderRef="cancelled")
    client.call("cancel", number=cancelled)
    client.reaches(cancelled, "Cancelled")
    client.connect(2, session="other")
    found = {order["order"]["orderRef"]: order for order in client.call("completed", "other")}
    assert {name: order["status"] for name, order in found.items()} == {"filled": "Filled", "cancelled": "Cancelled"}
    assert found["filled"]["order"]["filledQuantity"] == 10
    assert found["filled"]["contract"]["symbol"] == "AAPL"
    assert found["cancelled"]["permId"] == client.order(cancelled)["permId"]


def test_reconnecting_client_adopts_its_orders(client: Client, world: World) -> None:
    number = resting(client, world, orderRef="adopted", tif="GTC")
    permanent = client.order(number)["permId"]
    client.disconnect()
    client.connect()
    order = client.reaches(number, "Submitted")
    assert order["permId"] == permanent
    assert (order["order"]["orderRef"], order["order"]["tif"]) == ("adopted", "GTC")
    client.call("modify", number=number, changes={"lmtPrice": order["order"]["lmtPrice"] - 1})
    until(
        lambda: world.run(lambda: float(world.engine.book.live()[0].request.limit_price)),
        lambda price: price == pytest.approx(order["order"]["lmtPrice"] - 1),
    )
    client.call("cancel", number=number)
    client.reaches(number, "Cancelled")


def test_what_filled_meanwhile_is_found_after_a_reconnect(client: Client, world: World) -> None:
    price = cents(float(quote(world, AAPL).last) * 0.8)
    number = client.place(AAPL, "BUY", 100, goodAfterTime="20240603 11:00:00 US/Eastern")
    other = client.place(AAPL, "BUY", 10, "LMT", lmtPrice=price)
    client.reaches(other, "Submitted")
    client.disconnect()
    world.advance(TEN_O_CLOCK + timedelta(hours=2))
    client.connect()
    (fill,) = [fill for fill in until(lambda: client.call("fills")) if fill["orderId"] == number]
    assert fill["shares"] == 100
    assert fill["commission"] == 1
    held = until(lambda: client.call("positions"))
    assert [position["position"] for position in held] == [100]


def test_untransmitted_orders_are_lost_with_the_connection(client: Client, world: World) -> None:
    price = cents(float(quote(world, AAPL).last) * 0.8)
    client.place(AAPL, "BUY", 100, "LMT", lmtPrice=price, transmit=False)
    client.call("time")
    client.disconnect()
    client.connect()
    assert client.call("open_orders") == []


def test_restart_keeps_orders_positions_and_ids(driver: Driver, make_world: Callable[..., World]) -> None:
    world = make_world()
    world.advance(TEN_O_CLOCK)
    client = Client(driver, world)
    client.connect()
    done = client.place(AAPL, "BUY", 10, orderRef="done")
    fill = client.reaches(done, "Filled")["fills"][0]
    number = resting(client, world, tif="GTC", orderRef="kept")
    permanent = client.order(number)["permId"]
    assert client.finish() == []
    world = make_world()
    client = Client(driver, world)
    told = client.connect()
    assert told["next_id"] > number
    order = client.reaches(number, "Submitted")
    assert (order["permId"], order["order"]["orderRef"]) == (permanent, "kept")
    (seen,) = client.call("executions")
    assert seen["execId"] == fill["execId"]
    (position,) = until(lambda: client.call("positions"))
    assert position["position"] == 10
    assert client.finish() == []


def test_manual_and_api_orders_can_be_bound_by_client_zero(stranger: Client, world: World) -> None:
    stranger.connect(0)
    stranger.call("bind_orders")
    number = resting(stranger, world)
    assert stranger.order(number)["clientId"] == 0
    stranger.call("cancel", number=number)
    stranger.reaches(number, "Cancelled")
