"""What the gateway does with other settings: limits, locates, hours, notices."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.harness import Client, Driver, World, until
from tests.conformance.market import AAPL, IBM, MINUTE, MSFT, SPY, TEN_O_CLOCK, cents, quote

Connect = Callable[..., tuple[Client, World]]


@pytest.fixture
def connect(driver: Driver, make_world: Callable[..., World]) -> Iterator[Connect]:
    """Connects to a simulator with other settings, at ten o'clock."""
    clients: list[Client] = []

    def made(**changes: Any) -> tuple[Client, World]:
        world = make_world(**changes)
        world.advance(TEN_O_CLOCK)
        clients.append(Client(driver, world))
        clients[0].connect()
        return clients[0], world

    yield made
    assert clients[0].finish() == []


def test_market_data_lines_are_limited(connect: Connect) -> None:
    client, _ = connect(market_data_lines=2)
    for contract in (AAPL, IBM, MSFT):
        client.call("start", key=contract["symbol"], kind="quotes", contract=contract)
    assert client.code(101).startswith("Max number of tickers has been reached")
    until(lambda: client.call("read", key="AAPL"), lambda seen: "bid" in seen)
    assert "bid" not in client.call("read", key="MSFT")


def test_depth_is_limited(connect: Connect) -> None:
    client, _ = connect()
    for contract in (AAPL, IBM, MSFT, SPY):
        client.call("start", key=contract["symbol"], kind="depth", contract=contract, smart=True)
    assert client.code(309)


def test_tick_by_tick_data_are_limited(connect: Connect) -> None:
    client, _ = connect()
    for number in range(6):
        contract = (AAPL, IBM, MSFT, SPY)[number % 4]
        what = "Last" if number < 4 else "BidAsk"
        client.call("start", key=str(number), kind="ticks", contract=contract, what=what)
    assert client.code(10190)


def test_messages_are_limited(connect: Connect) -> None:
    client, _ = connect(messages_per_second=50)
    for _ in range(60):
        client.call("time")
    if client.official:
        assert client.code(100).startswith("Max rate of messages per second has been exceeded")
    else:
        assert 100 not in [code for _, code, _ in client.call("errors")], "these clients wait by themselves"


def test_short_sale_waits_for_a_locate(connect: Connect) -> None:
    client, _ = connect(hard_to_borrow=("IBM",))
    number = client.place(IBM, "SELL", 100)
    assert client.code(404).startswith("Order held while securities are located")
    assert client.order(number)["filled"] == 0
    client.reaches(client.place(AAPL, "SELL", 100), "Filled")


@pytest.mark.parametrize("outside", [False, True], ids=["regular", "outside"])
def test_orders_before_the_open(connect: Connect, outside: bool) -> None:
    client, world = connect(extended_hours=True)
    world.advance(TEN_O_CLOCK + timedelta(hours=22))
    limit = cents(quote(world, AAPL).ask + 1)
    number = client.place(AAPL, "BUY", 10, "LMT", lmtPrice=limit, outsideRth=outside)
    world.advance(TEN_O_CLOCK + timedelta(hours=22, minutes=5))
    client.call("time")
    if outside:
        order = client.reaches(number, "Filled")
        assert order["fills"][0]["time"] < "2024-06-04T13:30"
    else:
        assert client.order(number)["filled"] == 0
        world.advance(TEN_O_CLOCK + timedelta(hours=24))
        assert client.reaches(number, "Filled")["fills"][0]["time"] >= "2024-06-04T13:30"


def test_market_order_ignores_hours_and_says_so(connect: Connect) -> None:
    client, _ = connect(extended_hours=True)
    number = client.place(AAPL, "BUY", 10, outsideRth=True)
    assert "Outside Regular Trading Hours" in client.code(2109)
    client.reaches(number, "Filled")


def test_order_preset_sets_the_time_in_force(connect: Connect) -> None:
    client, _ = connect(preset_tif_notice=True)
    number = client.place(AAPL, "BUY", 10, tif="")
    assert client.code(10349) == "Order TIF was set to DAY based on order preset."
    client.reaches(number, "Filled")


def test_active_orders_per_side_are_limited(connect: Connect) -> None:
    client, world = connect()
    low = cents(float(quote(world, AAPL).last) * 0.8)
    numbers = [client.place(AAPL, "BUY", 1, "LMT", lmtPrice=low) for _ in range(21)]
    client.reaches(numbers[0], "Submitted")
    assert "20 active orders" in client.code(201)
    assert world.run(lambda: len(list(world.engine.book.live()))) == 20


def test_tiered_commissions(connect: Connect) -> None:
    client, _ = connect(commission_plan="tiered")
    order = client.reaches(client.place(AAPL, "BUY", 100), "Filled")
    assert sum(fill["commission"] for fill in order["fills"]) == pytest.approx(0.35)


@pytest.mark.parametrize("driver", ["ibapi"], indirect=True)
def test_two_account_summaries_at_the_same_time(connect: Connect) -> None:
    client, world = connect()
    assert [client.call("keep_summary") for _ in range(3)] == [True, True, False]
    assert "Maximum number of account summary requests exceeded" in client.code(322)
    world.advance(TEN_O_CLOCK + MINUTE)
