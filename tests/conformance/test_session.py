"""Connecting, what a client learns by it, and the end of a connection."""

from collections.abc import Callable

import pytest

from services.simulator.wire.framing import frame
from tests.conformance.harness import VERSIONS, Client, Driver, World, until
from tests.conformance.market import AAPL, ACCOUNT, TEN_O_CLOCK


def test_each_client_gets_the_newest_version_that_it_knows(stranger: Client) -> None:
    told = stranger.connect()
    assert told["version"] == VERSIONS[stranger.library]
    assert told["accounts"] == [ACCOUNT]
    assert told["next_id"] >= 1
    assert stranger.call("connected")


@pytest.mark.parametrize("code", [2104, 2106, 2158])
def test_farms_are_announced(client: Client, code: int) -> None:
    assert "OK:" in client.code(code)


def test_time_is_virtual(client: Client, world: World) -> None:
    assert client.call("time") == TEN_O_CLOCK.isoformat()
    world.advance(TEN_O_CLOCK.replace(hour=15))
    assert client.call("time") == TEN_O_CLOCK.replace(hour=15).isoformat()


def test_a_client_id_is_taken_while_its_client_is_there(client: Client) -> None:
    refused = client.connect(1, session="intruder", patience=0.5)
    assert refused["failed"]
    assert "already in use" in client.code(326, session="intruder")
    assert client.call("time")
    client.disconnect("intruder")
    client.disconnect()
    assert "failed" not in client.connect(1)


def test_many_clients_at_once(client: Client) -> None:
    for number in range(2, 6):
        assert client.connect(number, session=str(number))["accounts"] == [ACCOUNT]
    assert {client.call("time", str(number)) for number in range(2, 6)} == {TEN_O_CLOCK.isoformat()}


def test_client_zero_may_connect_and_bind_manual_orders(stranger: Client) -> None:
    stranger.connect(0)
    stranger.call("bind_orders")
    assert stranger.call("time") == TEN_O_CLOCK.isoformat()


def test_order_ids_go_on_after_a_reconnect(client: Client) -> None:
    number = client.place(AAPL, "BUY", 1)
    client.reaches(number, "Filled")
    client.disconnect()
    assert client.connect()["next_id"] > number


def test_order_ids_of_clients_are_their_own(client: Client) -> None:
    client.reaches(client.place(AAPL, "BUY", 1, orderId=500), "Filled")
    client.disconnect()
    assert client.connect(2)["next_id"] < 500
    client.disconnect()
    assert 500 < client.connect(1)["next_id"] < 510


def test_a_client_notices_that_the_gateway_is_gone(driver: Driver, make_world: Callable[..., World]) -> None:
    world = make_world()
    client = Client(driver, world)
    client.connect()
    world.close()
    until(lambda: client.call("connected"), lambda connected: not connected)
    assert client.finish() == []


def test_several_accounts_are_told(driver: Driver, make_world: Callable[..., World]) -> None:
    client = Client(driver, make_world(accounts=("DU1000002", "DU1000003")))
    assert client.connect()["accounts"] == [ACCOUNT, "DU1000002", "DU1000003"]
    assert client.finish() == []


def test_what_a_client_cannot_use_is_noticed(driver: Driver, world: World) -> None:
    """The guard that every other case relies on."""
    client = Client(driver, world)
    client.connect()
    position_too_short = frame(["61", "3", ACCOUNT, "265598", "AAPL"])
    session = world.simulator.broker.sessions[1]
    world.run(lambda: session.put(position_too_short))
    complaints = until(lambda: client.call("complaints"))
    assert len(complaints) == 1
    assert client.finish() == []
