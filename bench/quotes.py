"""How many quotes a second the system takes from the broker's socket to the last reader, losing no newest value."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import httpx
import orjson

from bench.world import Servers, broker, program, servers, service_environment, until_ready
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.core.catalogue import stock

SYMBOLS = tuple(f"S{number:03}" for number in range(100))  # IBKR's usual number of market-data lines
TICKS = 2000


@dataclass(frozen=True)
class Run:
    """`ticks` counts tick messages (prices, sizes, volume, time ...), `cpu` is the reader's processor seconds."""

    seconds: float
    ticks: int
    cpu: float

    @property
    def microseconds(self) -> float:
        """Of processor time, for one tick."""
        return self.cpu / self.ticks * 1e6


@dataclass(frozen=True)
class Flow:
    """`sent` counts updates of a symbol, each of several ticks. `alone`: ib_async takes the same from the same socket
    and drops it."""

    symbols: int
    sent: int
    ours: Run
    alone: Run
    batches: int
    complete: bool


async def run() -> Flow:
    settings = Settings(
        port=0, market="synthetic", symbols=SYMBOLS, start=date(2012, 6, 1), end=date(2012, 12, 31), warmup_days=0
    )
    with servers() as where:
        async with broker(settings) as simulator:
            environment = {"MILLRACE_BENCH_SYMBOLS": ",".join(SYMBOLS)}
            with program("bench.drop", str(simulator.port), environment=environment) as client:
                alone = await _alone(simulator, client)
        async with broker(settings) as simulator:
            return await _through_the_gateway(where, simulator, alone)


async def _alone(simulator: Simulator, client: subprocess.Popen[bytes]) -> Run:
    before = float(await _line(client.stdout))
    after = before

    async def read() -> None:
        nonlocal after
        assert client.stdin is not None
        client.stdin.write(b"\n")
        client.stdin.flush()
        after = float(await _line(client.stdout))

    seconds, ticks = await _send(simulator, read)
    return Run(seconds, ticks, after - before)


async def _through_the_gateway(where: Servers, simulator: Simulator, alone: Run) -> Flow:
    environment = service_environment(
        where,
        "gateway",
        SYMBOLS=orjson.dumps(SYMBOLS).decode(),
        GATEWAY__PORT=str(simulator.port),
        GATEWAY__SPARE_LINES="0",
    )
    with (
        program("services.gateway", environment=environment),
        program("bench.reader", where.redis_url, environment={}) as reader,
    ):
        await until_ready([environment])
        await _line(reader.stdout)
        async with httpx.AsyncClient(timeout=60, base_url=_address(environment)) as client:
            await client.get("/time")  # all lines are open
            before = await _cpu(client)
            # answers once all it received is published
            seconds, ticks = await _send(simulator, lambda: client.get("/time"))
            ours = Run(seconds, ticks, await _cpu(client) - before)
        await asyncio.sleep(0.5)
        reader.send_signal(2)
        seen = orjson.loads(await _line(reader.stdout))
    market, now = simulator.engine.market, simulator.engine.now
    expected = {symbol: market.quote(stock(symbol).contract_id, now) for symbol in SYMBOLS}
    complete = all(
        quote is not None and [Decimal(price) for price in seen["newest"].get(symbol, ())] == [quote.bid, quote.ask]
        for symbol, quote in expected.items()
    )
    return Flow(len(SYMBOLS), TICKS * len(SYMBOLS), ours, alone, seen["batches"], complete)


def _address(environment: Mapping[str, str]) -> str:
    return f"http://127.0.0.1:{environment['MILLRACE_HTTP_PORT']}"


async def _cpu(client: httpx.AsyncClient) -> float:
    """The processor seconds that a service has used."""
    name = "process_cpu_seconds_total "
    metrics = (await client.get("/metrics")).text.splitlines()
    return next(float(line.removeprefix(name)) for line in metrics if line.startswith(name))


async def _line(stream: object) -> bytes:
    return await asyncio.to_thread(stream.readline)  # type: ignore[attr-defined]  # a pipe


async def _send(simulator: Simulator, arrived: Callable[[], Awaitable[object]]) -> tuple[float, int]:
    """Send TICKS prices of every symbol as fast as they are read; seconds until the last has arrived, and messages."""
    engine, sessions = simulator.engine, list(simulator.broker.sessions.values())
    frames = 0

    def counting(put: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def counted(frame: bytes) -> None:
            nonlocal frames
            frames += 1
            put(frame)

        return counted

    for session in sessions:
        session.put = counting(session.put)  # type: ignore[method-assign]  # every frame goes through here
    began = time.perf_counter()
    for _ in range(TICKS):
        following = engine.now + timedelta(minutes=1)
        if engine.market.session_at(engine.now) is None:
            following = engine.market.next_open(engine.now) or following
        simulator.broker.advance(following)
        await asyncio.gather(*(session.drained() for session in sessions))
    await arrived()
    return time.perf_counter() - began, frames
