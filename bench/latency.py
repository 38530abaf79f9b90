"""From the quote's bytes out of the broker to the order's bytes back at it, through all services.

One order at a time, on one processor for everything (a wake-up across virtual processors costs more than a hop). Rounds
of Millrace and of the bare chain (`bench/chain.py`) alternate in one run.
"""

import asyncio
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import psycopg
from redis import Redis

from bench import chain
from bench.world import Servers, broker, program, servers, service_environment, until_ready
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.core.orders import OrderRequest

SYMBOL = "BENCH"
ROUNDS, SAMPLES, WARM_UP = 3, 60, 20
REST_SECONDS = 0.05
ORDER_SECONDS = 0.15  # a quote that led to no order by then found a trade still open
INSTANCES = f'[{{name = "always", strategy = "always", timeframe = "1 min", symbols = ["{SYMBOL}"]}}]'
SERVICES = ("gateway", "marketdata", "strategy", "risk", "execution")


@dataclass
class Result:
    seconds: list[float] = field(default_factory=list[float])

    def percentile(self, percent: int) -> float:
        """Milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1] * 1000


class Millrace:
    """Moves the simulated market tick by tick, and takes the time until an entry arrives."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        place = simulator.broker.place

        def timed(request: OrderRequest) -> None:
            if not request.parent_id and not self._arrived.done():
                self._arrived.set_result(time.perf_counter())
            place(request)

        simulator.broker.place = timed  # type: ignore[method-assign]  # the moment the order's bytes are read

    async def sample(self) -> float | None:
        """Seconds from a tick to its order; None when an earlier trade was still open or just ended."""
        engine = self._simulator.engine
        self._arrived = asyncio.get_running_loop().create_future()
        open_before = len(engine.book.live())
        self._simulator.broker.advance(self._next_tick())
        began = time.perf_counter()
        try:
            arrived = await asyncio.wait_for(asyncio.shield(self._arrived), ORDER_SECONDS)
        except TimeoutError:
            return None
        finally:
            await asyncio.sleep(REST_SECONDS)
        return None if open_before else arrived - began

    def _next_tick(self) -> object:
        engine = self._simulator.engine
        following = engine.now + timedelta(minutes=1)
        if engine.market.session_at(engine.now) is None:
            return engine.market.next_open(engine.now)
        return following


class Bare:
    """The baseline: a line out, a line back."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._lines: asyncio.Queue[float] = asyncio.Queue()
        self._last: asyncio.StreamWriter | None = None
        self._both = asyncio.Event()

    async def accept_first(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._meet()

    async def accept_last(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._last = writer
        self._meet()
        while await reader.readline():
            self._lines.put_nowait(time.perf_counter())

    async def sample(self) -> float:
        assert self._writer is not None
        began = time.perf_counter()
        self._writer.write(b"quote\n")
        arrived = await asyncio.wait_for(self._lines.get(), 5)
        await asyncio.sleep(REST_SECONDS)
        return arrived - began

    def _meet(self) -> None:
        if self._writer and self._last:
            self._both.set()

    async def connected(self) -> None:
        await asyncio.wait_for(self._both.wait(), 30)


async def run() -> tuple[Result, Result]:
    """(Millrace, bare chain)."""
    settings = Settings(
        port=0,
        market="synthetic",
        symbols=(SYMBOL,),
        start=date(2012, 6, 1),
        end=date(2012, 12, 31),
        warmup_days=0,
        cash=Decimal(20_000),
        messages_per_second=0,  # orders small enough to fill at once
    )
    with servers() as where, ExitStack() as processes:
        async with broker(settings) as simulator:
            await _start_services(where, simulator.port, processes)
            bare = await _start_chain(where, processes)
            return await _measure(Millrace(simulator), bare)


async def _measure(millrace: Millrace, bare: Bare) -> tuple[Result, Result]:
    ours, theirs = Result(), Result()
    for number in range(-1, ROUNDS):  # the first round only warms up
        mine: list[float] = []
        wanted = WARM_UP if number < 0 else SAMPLES
        while len(mine) < wanted:
            seconds = await millrace.sample()
            if seconds is not None:
                mine.append(seconds)
        others = [await bare.sample() for _ in range(wanted)]
        if number >= 0:
            ours.seconds += mine
            theirs.seconds += others
    return ours, theirs


async def _start_services(where: Servers, broker_port: int, processes: ExitStack) -> None:
    environments = []
    for name in SERVICES:
        environment = service_environment(
            where,
            name,
            SYMBOLS=f'["{SYMBOL}"]',
            GATEWAY__PORT=str(broker_port),
            MARKETDATA__MINUTE_BARS="true",
            STRATEGY__INSTANCES=INSTANCES,
            STRATEGY__STRATEGY_FOLDER="bench/strategies",
            STRATEGY__ONLY_SCANNED="false",
            RISK__MAX_DAILY_LOSS="1",
        )
        environments.append(environment)
        processes.enter_context(program(f"services.{name}", environment=environment))
    await until_ready(environments)


async def _start_chain(where: Servers, processes: ExitStack) -> Bare:
    with psycopg.connect(where.database_url, autocommit=True) as database:
        database.execute("CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)")
    with Redis.from_url(where.redis_url) as redis:
        for hop in chain.HOPS:
            redis.xgroup_create(f"bare.{hop}", "bare", id="0", mkstream=True)
    bare = Bare()
    loopback = "127.0.0.1"
    into = await asyncio.start_server(bare.accept_first, loopback, 0)
    out = await asyncio.start_server(bare.accept_last, loopback, 0)
    for role in ("first", *chain.HOPS):
        port = (into if role == "first" else out).sockets[0].getsockname()[1]
        arguments = (role, where.redis_url, where.database_url, str(port))
        processes.enter_context(program("bench.chain", *arguments, environment={}))
    await bare.connected()
    return bare
