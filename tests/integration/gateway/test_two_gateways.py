"""Two gateways on one database: the second refuses, and one that was frozen past its lease sends nothing when it thaws.

The gateways are processes of their own; the simulator is in the test's, so that its books and its trace are at hand.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from prometheus_client import REGISTRY

from services.gateway.lease import Lease, LeaseLost, LeaseTaken
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.faults.effects import Drop
from services.simulator.faults.model import Rule, Script, When
from shared.bus import ensure_groups
from shared.config import CONFIG_FOLDER, Common
from shared.db import tables
from shared.db.store import Row, Store
from shared.messages.broker import SessionChanged
from shared.messages.broker_commands import CancelOrder
from shared.types import SessionState
from tests.integration.gateway.desk import SYMBOLS, Desk, order, until
from tests.tools import eventually

ROOT = Path(__file__).parents[3]


class Wire:
    """A way to the database that can fall silent: connections stay, and nothing moves on them."""

    def __init__(self, url: str) -> None:
        self._to = url
        self._flows = asyncio.Event()
        self._flows.set()
        self._pipes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        host = urlsplit(self._to).netloc.rpartition("@")[0]
        port = self._server.sockets[0].getsockname()[1]
        return urlsplit(self._to)._replace(netloc=f"{host}@127.0.0.1:{port}").geturl()

    def fall_silent(self) -> None:
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def close(self) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = urlsplit(self._to)
        far_reader, far_writer = await asyncio.open_connection(to.hostname, to.port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._pipes.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        await self._flows.wait()
        sink.close()


class GatewayProcess:
    """`python -m services.gateway`, as an operator starts it."""

    def __init__(
        self, common: Common, database_url: str, port: int, host: str, lease_seconds: float, folder: Path
    ) -> None:
        config = folder / host
        config.mkdir()
        (config / "millrace.toml").write_text(
            f'symbols = ["AAPL"]\nredis_url = "{common.redis_url}"\ndatabase_url = "{database_url}"\n'
            f'http_port = 0\nconsumer = "{host}"\n'
        )
        (config / "gateway.toml").write_text(
            f"port = {port}\nlease_seconds = {lease_seconds}\nheartbeat_seconds = 0.05\nrequests_per_second = 0\n"
        )
        self.host = host
        self._log = folder / f"{host}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.gateway"],
                env=os.environ | {CONFIG_FOLDER: str(config)},
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def says(self, words: str) -> bool:
        return words in self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        await eventually(lambda: self.process.poll() is not None, 40)
        return self.process.returncode

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class House:
    """What the gateways share."""

    def __init__(self, common: Common, simulator: Simulator, folder: Path) -> None:
        self.desk = Desk(common, simulator)
        self.simulator = simulator
        self.started: list[GatewayProcess] = []
        self._common = common
        self._folder = folder

    def start(self, host: str, lease_seconds: float, database_url: str = "") -> GatewayProcess:
        url = database_url or self._common.database_url
        made = GatewayProcess(self._common, url, self.simulator.port, host, lease_seconds, self._folder)
        self.started.append(made)
        return made

    async def ready(self, times: int = 1) -> None:
        async def told() -> bool:
            return (await self.desk.states()).count(SessionState.READY) == times

        await eventually(told, 40)

    async def changes(self) -> list[SessionChanged]:
        return [event.data for event in await self.desk.events(SessionChanged)]

    def lease(self) -> tuple[str, int]:
        with psycopg.connect(self._common.database_url) as connection:
            row = connection.execute("SELECT holder, epoch FROM leases").fetchone()
        assert row is not None
        return row[0].partition(":")[0], row[1]

    def orders_received(self) -> list[str]:
        """What came over the wire about orders, in order: a line of the simulator's trace for each message."""
        lines = (self._folder / "trace").read_text().splitlines()
        return [line for line in lines if "<1 placeOrder" in line or "<1 cancelOrder" in line]


@pytest.fixture
async def house(common: Common, tmp_path: Path) -> AsyncIterator[House]:
    settings = Settings.model_validate({"port": 0, "symbols": SYMBOLS, "trace": tmp_path / "trace"})
    simulator = Simulator(settings, tmp_path / "simulator")
    async with simulator.serving():
        house = House(common.model_copy(update={"symbols": SYMBOLS}), simulator, tmp_path)
        await ensure_groups(house.desk.bus.client)
        house.desk.advance()
        try:
            yield house
        finally:
            for gateway in house.started:
                gateway.end()
            await house.desk.close()


async def test_a_second_gateway_refuses_while_the_first_is_at_work(house: House) -> None:
    house.start("first-host", lease_seconds=1.5)
    await house.ready()
    connected = house.simulator.broker.sessions[1]
    second = house.start("second-host", lease_seconds=1.5)
    assert await second.exit_code() == 1
    assert second.says("another gateway is at work: first-host:")
    assert second.says("stop it first")
    assert house.lease() == ("first-host", 1)
    assert house.simulator.broker.sessions == {1: connected}, "it has not even tried to connect"


@pytest.fixture
async def wire(common: Common) -> AsyncIterator[Wire]:
    wire = Wire(common.database_url)
    await wire.open()
    yield wire
    await wire.close()


@pytest.mark.timeout(120)
async def test_a_gateway_frozen_past_its_lease_sends_nothing_when_it_thaws(house: House, wire: Wire) -> None:
    """It can not even learn that its lease is gone: its database is silent when it thaws. Its own clock has to do."""
    desk = house.desk
    first = house.start("first-host", lease_seconds=4, database_url=wire.url)
    await house.ready()
    silence = When(sends=("openOrder", "orderStatus"), order_ref="half-done*", times=0)
    house.simulator.faults.add(Script(rule=(Rule(when=silence, do=(Drop(),)),)))
    await desk.command(order(house.simulator, "half-done", limit="100.00"))
    await until(lambda: len(desk.at_broker()) == 3)  # sent, and not answered
    first.signal(signal.SIGSTOP)
    wire.fall_silent()  # so it does not see that its database session is ended, either
    house.simulator.faults.clear()
    await desk.command(CancelOrder(order_ref="half-done"))
    await desk.command(order(house.simulator, "waiting", limit="101.00"))

    second = house.start("second-host", lease_seconds=30)
    await eventually(lambda: house.lease() == ("second-host", 2), 40)
    await eventually(lambda: second.says("client_id = 1 is in use"), 40)
    second.signal(signal.SIGSTOP)
    before = house.orders_received()

    first.signal(signal.SIGCONT)
    await eventually(lambda: first.says("the lease was not renewed"), 40)
    assert first.process.poll() is None
    assert house.orders_received() == before, "the thawed gateway has written about an order"
    wire.flow()
    assert await first.exit_code() == 1
    assert first.says("second-host")
    assert house.orders_received() == before, "the thawed gateway has written about an order"

    second.signal(signal.SIGCONT)
    await eventually(lambda: len(house.orders_received()) == 7, 40)
    await desk_is_idle(desk)
    placed = [f"{name}{leg}" for name in ("half-done", "waiting") for leg in ("", ".stop", ".target")]
    assert sorted(desk.at_broker()) == sorted(placed)
    assert len(desk.at_broker("cancel")) == 1
    second.signal(signal.SIGTERM)
    assert await second.exit_code() == 0
    assert (await desk.states())[-1] is SessionState.DISCONNECTED


async def test_a_gateway_that_cannot_renew_its_lease_is_not_ready_until_it_can(house: House, wire: Wire) -> None:
    gateway = house.start("first-host", lease_seconds=2, database_url=wire.url)
    await house.ready()
    wire.fall_silent()
    await eventually(lambda: not house.simulator.broker.sessions, 40)
    wire.flow()
    await house.ready(times=2)
    assert house.lease() == ("first-host", 1), "nobody else has had it"
    (lost,) = [change for change in await house.changes() if change.state is SessionState.DISCONNECTED]
    assert "could not be renewed for 1 s: nothing is sent" in lost.reason
    gateway.signal(signal.SIGTERM)
    assert await gateway.exit_code() == 0


async def desk_is_idle(desk: Desk) -> None:
    async def idle() -> bool:
        (group,) = await desk.bus.client.xinfo_groups("broker.commands")
        newest = await desk.bus.client.xrevrange("broker.commands", count=1)
        return not group["pending"] and newest[0][0] == group["last-delivered-id"]

    await eventually(idle, 40)


# The lease by itself, on a real database


@pytest.fixture
def leases(common: Common) -> list[Lease]:
    """Of two processes, for one second."""
    return [Lease(common.database_url, "gateway", f"host-{number}", 1) for number in range(2)]


def never() -> asyncio.Event:
    return asyncio.Event()


async def test_a_released_lease_is_free_at_once_and_its_epoch_rises(leases: list[Lease]) -> None:
    first, second = leases
    assert await first.acquire(never())
    first.check()
    assert REGISTRY.get_sample_value("millrace_gateway_lease_epoch") == 1
    await first.release()
    assert REGISTRY.get_sample_value("millrace_gateway_lease_epoch") == 0
    with pytest.raises(LeaseLost):
        first.check()
    assert await second.acquire(never())
    assert (second.epoch, second.is_valid()) == (2, True)
    await second.release()


async def test_who_waits_for_a_lease_stops_when_told_to(leases: list[Lease]) -> None:
    first, second = leases
    assert await first.acquire(never())
    stop = never()
    stop.set()
    assert not await second.acquire(stop)
    await first.release()
    await second.release()


async def test_a_lease_is_not_relied_on_after_half_of_its_time(common: Common) -> None:
    now = [100.0]
    lease = Lease(common.database_url, "gateway", "host", 10, clock=lambda: now[0])
    assert await lease.acquire(never())
    now[0] += 4.9
    lease.check()
    now[0] += 0.2
    with pytest.raises(LeaseLost, match="could not be renewed for 5 s"):
        lease.check()
    renewing = asyncio.create_task(lease.run())  # nobody took it: renewed, it counts again
    await until(lease.is_valid)
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    await lease.release()


async def test_a_take_over_ends_the_predecessors_commits(leases: list[Lease], common: Common) -> None:
    frozen, successor = leases
    assert await frozen.acquire(never())
    store = Store(common.database_url, "gateway")
    await store.open()
    assert await successor.acquire(never())  # waits until the frozen one's lease has expired
    with pytest.raises(psycopg.OperationalError):
        await store.commit(None, [claim()], [])
    with pytest.raises(LeaseTaken, match="host-1 took it, epoch 2"):
        await frozen.run()
    await frozen.release()
    heir = Store(common.database_url, "gateway")
    await heir.open()
    await heir.commit(None, [claim()], [])
    await heir.close()
    await store.close()
    await successor.release()


def claim() -> Row:
    """A row that only the gateway writes."""
    values: dict[str, Any] = {"name": "proof", "holder": "store", "epoch": 1, "expires_at": "2026-11-21T00:00:00Z"}
    return Row(tables.leases, values)
