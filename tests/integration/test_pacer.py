"""When the pacer believes that all is done: a real Redis, and the two HTTP endpoints it asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.errors import CommandError
from cli.launcher import choose_ports
from cli.pacer import Pacer
from shared.bus import Bus
from shared.messages.base import Envelope
from tests.tools import eventually, make_bar, make_bus

NOON = datetime(2015, 6, 2, 16, tzinfo=UTC)


@dataclass
class Broker:
    """What simulator and gateway answer. `refusals` are answered with 503 first; `now` is the gateway's time."""

    now: datetime = NOON
    refusals: int = 0
    asked: list[str] = field(default_factory=list[str])

    async def time(self, _: Request) -> Response:
        self.asked.append("time")
        return JSONResponse({"broker_time": self.now.isoformat()})

    async def advance(self, request: Request) -> Response:
        self.asked.append("advance")
        if self.refusals:
            self.refusals -= 1
            return Response("starting", 503)
        self.now = datetime.fromisoformat(request.query_params["to"])
        return JSONResponse({"now": self.now.isoformat(), "finished": False})


@asynccontextmanager
async def serving(broker: Broker) -> AsyncIterator[str]:
    routes = [Route("/time", broker.time), Route("/advance", broker.advance, methods=["POST"])]
    port = choose_ports(None, 1)[0]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_config=None, lifespan="off"))
    serve = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serve


@asynccontextmanager
async def pacing(redis_url: str, broker: Broker, patience_seconds: float = 20) -> AsyncIterator[Pacer]:
    async with serving(broker) as url:
        pacer = Pacer(redis_url, url, url, patience_seconds=patience_seconds)
        try:
            yield pacer
        finally:
            await pacer.close()


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    bus = make_bus(redis_url, "marketdata")
    await bus.open()
    yield bus
    await bus.close()


async def read_as_strategy(bus: Bus, *, acknowledge: bool) -> None:
    [[_, entries]] = await bus.client.xreadgroup("strategy", "test", {"market.bars": ">"})
    if acknowledge:
        await bus.client.xack("market.bars", "strategy", *(entry_id for entry_id, _ in entries))


async def test_an_idle_system_is_at_rest(redis_url: str, bus: Bus) -> None:
    async with pacing(redis_url, Broker()) as pacer:
        await asyncio.wait_for(pacer.settle(NOON), 5)


async def test_an_unread_entry_is_waited_for(redis_url: str, bus: Bus) -> None:
    await bus.publish([make_bar(1)])
    async with pacing(redis_url, Broker()) as pacer:
        settling = asyncio.create_task(pacer.settle(NOON))
        done, _ = await asyncio.wait((settling,), timeout=0.3)
        assert not done
        await read_as_strategy(bus, acknowledge=True)
        await asyncio.wait_for(settling, 5)


async def test_an_entry_that_is_read_and_not_acknowledged_is_named_in_the_end(redis_url: str, bus: Bus) -> None:
    await bus.publish([make_bar(1)])
    await read_as_strategy(bus, acknowledge=False)
    async with pacing(redis_url, Broker(), patience_seconds=0.3) as pacer:
        with pytest.raises(CommandError, match=r"no progress.*market\.bars, group strategy: 1 not acknowledged"):
            await pacer.settle(NOON)


async def test_a_broker_behind_the_target_is_waited_for(redis_url: str, bus: Bus) -> None:
    broker = Broker()
    async with pacing(redis_url, broker) as pacer:
        settling = asyncio.create_task(pacer.settle(NOON + timedelta(minutes=1)))
        await eventually(lambda: len(broker.asked) > 3)
        assert not settling.done()
        broker.now += timedelta(minutes=1)
        await asyncio.wait_for(settling, 5)


async def test_what_the_broker_round_trip_brings_out_is_waited_for(redis_url: str, bus: Bus) -> None:
    class Late(Broker):
        """An event of the broker's is published by the very question for its time."""

        async def time(self, request: Request) -> Response:
            if not self.asked:
                await bus.publish([late])
            return await super().time(request)

    late: Envelope[object] = make_bar(2)  # type: ignore[assignment]
    async with pacing(redis_url, Late()) as pacer:
        settling = asyncio.create_task(pacer.settle(NOON))
        done, _ = await asyncio.wait((settling,), timeout=0.3)
        assert not done
        await read_as_strategy(bus, acknowledge=True)
        await asyncio.wait_for(settling, 5)


async def test_streams_that_nobody_has_made_are_not_at_rest(redis_url: str) -> None:
    async with pacing(redis_url, Broker(), patience_seconds=0.3) as pacer:
        with pytest.raises(CommandError, match=r"stream market\.bars does not exist yet"):
            await pacer.settle(NOON)


async def test_a_simulator_in_a_restart_is_asked_again(redis_url: str) -> None:
    broker = Broker(refusals=2)
    async with pacing(redis_url, broker) as pacer:
        clock = await asyncio.wait_for(pacer.advance(NOON + timedelta(hours=1)), 10)
    assert clock.now == NOON + timedelta(hours=1)
    assert broker.asked == ["advance"] * 3


async def test_a_simulator_that_is_gone_ends_the_run_with_its_address(redis_url: str) -> None:
    port = choose_ports(None, 1)[0]
    address = f"http://127.0.0.1:{port}"
    pacer = Pacer(redis_url, address, address, patience_seconds=0.3)
    with pytest.raises(CommandError, match=f"the simulator at {address} does not answer"):
        await pacer.advance(NOON)
    await pacer.close()


async def test_services_that_are_not_ready_are_waited_for(redis_url: str, bus: Bus) -> None:
    async def unready() -> dict[str, str]:
        return {"risk": "waiting for the first reconciliation"}

    async with serving(Broker()) as url:
        pacer = Pacer(redis_url, url, url, unready=unready, patience_seconds=0.3)
        with pytest.raises(CommandError, match="risk: waiting for the first reconciliation"):
            await pacer.settle(NOON)
        await pacer.close()
