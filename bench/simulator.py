"""The simulated gateway at its limits: ticks to one real client, many clients at once, and a long day."""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ib_async

from bench.world import broker, program
from services.simulator.app import Simulator
from services.simulator.config import Settings

SYMBOLS = tuple(f"S{number:03}" for number in range(100))  # IBKR's usual number of market-data lines
TICKS = 1500
TICKS_ON_THE_WIRE = (b"1", b"2", b"45", b"46")
CLIENTS = 32
DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Ticks:
    """`alone` is ticks a second that ib_async takes of the same bytes without a socket and a simulator."""

    count: int
    seconds: float
    alone: float


@dataclass(frozen=True)
class LongDay:
    """A simulated day: its ticks, real seconds, and megabytes of memory after a quarter of it and at its end."""

    hours: float
    ticks: int
    seconds: float
    megabytes_early: float
    megabytes_end: float


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "port": 0, "market": "synthetic", "symbols": SYMBOLS, "start": date(2012, 6, 1), "end": date(2012, 7, 31),
        "warmup_days": 0, "options": False,
    }  # fmt: skip
    return Settings.model_validate(values | changes)


async def ticks_to_one_client() -> Ticks:
    """Every symbol's quote moves TICKS times, as fast as one ib_async client in a process of its own reads them."""
    async with broker(settings()) as simulator:
        with program(
            "bench.drop", str(simulator.port), environment={"MILLRACE_BENCH_SYMBOLS": ",".join(SYMBOLS)}
        ) as client:
            await asyncio.to_thread(client.stdout.readline)  # type: ignore[union-attr]  # a pipe
            (session,) = simulator.broker.sessions.values()
            sent: list[bytes] = []
            put = session.put

            def recording(frame: bytes) -> None:
                if frame[4:].partition(b"\0")[0] in TICKS_ON_THE_WIRE:
                    sent.append(frame)
                put(frame)

            session.put = recording  # type: ignore[method-assign]  # every frame goes through here
            began = time.perf_counter()
            await _move(simulator, TICKS)
            client.stdin.write(b"\n")  # type: ignore[union-attr]
            client.stdin.flush()  # type: ignore[union-attr]
            await asyncio.to_thread(client.stdout.readline)  # type: ignore[union-attr]  # it has read everything
            seconds = time.perf_counter() - began
    return Ticks(len(sent), seconds, len(sent) / _decode(sent))


async def _move(simulator: Simulator, ticks: int) -> None:
    engine = simulator.engine
    for _ in range(ticks):
        open_now = engine.market.session_at(engine.now) is not None
        following = engine.now + timedelta(minutes=1) if open_now else engine.market.next_open(engine.now)
        assert following is not None
        simulator.broker.advance(following)
        await asyncio.gather(*(session.drained() for session in simulator.broker.sessions.values()))


def _decode(frames: list[bytes]) -> float:
    """Seconds that ib_async needs for the bytes alone, five frames to a read as on a quiet socket."""
    client = ib_async.IB()
    client.client.connState = ib_async.Client.CONNECTED
    client.client._serverVersion = 178
    client.client.decoder.serverVersion = 178
    for request_id in {int(frame[4:].split(b"\0")[2]) for frame in frames}:
        client.wrapper.startTicker(request_id, ib_async.Stock(conId=request_id), "mktData")
    began = time.perf_counter()
    for first in range(0, len(frames), 5):
        client.client._onSocketHasData(b"".join(frames[first : first + 5]))
    seconds = time.perf_counter() - began
    client.client.connState = ib_async.Client.DISCONNECTED
    return seconds


@asynccontextmanager
async def connected(simulator: Simulator, client_id: int) -> AsyncIterator[ib_async.IB]:
    client = ib_async.IB()
    await client.connectAsync("127.0.0.1", simulator.port, clientId=client_id, timeout=30)
    try:
        yield client
    finally:
        client.disconnect()


async def many_clients() -> float:
    """Seconds until CLIENTS clients have connected at the same time, each synchronised and with a quote."""
    async with broker(settings()) as simulator, AsyncExitStack() as stack:
        simulator.broker.advance(simulator.engine.market.sessions[0].open)
        began = time.perf_counter()
        clients = await asyncio.gather(
            *(stack.enter_async_context(connected(simulator, number)) for number in range(1, CLIENTS + 1))
        )
        stock = ib_async.Stock(SYMBOLS[0], "SMART", "USD")
        for client in clients:
            (contract,) = await client.qualifyContractsAsync(stock)
            (ticker,) = await client.reqTickersAsync(contract)
            assert ticker.bid > 0
        return time.perf_counter() - began


async def long_day() -> LongDay:
    """A day from midnight to midnight with stocks, futures and a currency pair, one tick a second, one client."""
    symbols = SYMBOLS[:20]
    chosen = settings(
        symbols=symbols, tick_seconds=1, extended_hours=True, indices=("SPX",), futures=("ES",), currencies=("EUR.USD",)
    )
    async with broker(chosen) as simulator:
        contracts = [ib_async.Stock(symbol, "SMART", "USD") for symbol in symbols]
        contracts += [ib_async.Forex("EURUSD")]
        async with connected(simulator, 1) as client:
            futures = await client.reqContractDetailsAsync(ib_async.Future("ES", exchange="CME"))
            for contract in [*await client.qualifyContractsAsync(*contracts), futures[0].contract]:
                client.reqMktData(contract)
            start = simulator.engine.now
            began, early, step = time.perf_counter(), 0.0, timedelta(seconds=1)
            while simulator.engine.now < start + DAY:
                simulator.broker.advance(simulator.engine.now + step)
                await asyncio.gather(*(session.drained() for session in simulator.broker.sessions.values()))
                if not early and simulator.engine.now >= start + DAY / 4:
                    early = _megabytes()
            seconds = time.perf_counter() - began
            ticks = int(DAY / step) * (len(contracts) + 1)
    return LongDay(DAY / timedelta(hours=1), ticks, seconds, early, _megabytes())


def _megabytes() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - one line of the kernel's
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def main() -> None:
    """Print all three."""
    ticks = await ticks_to_one_client()
    rate = ticks.count / ticks.seconds
    print(f"ticks to one ib_async client, {len(SYMBOLS)} subscriptions, {os.cpu_count()} processors")
    print(f"{ticks.count:,} ticks in {ticks.seconds:.1f} s: {rate:,.0f} a second")
    print(
        f"ib_async alone, the same bytes without a socket: {ticks.alone:,.0f} a second; ratio {rate / ticks.alone:.2f}"
    )
    print(f"{CLIENTS} clients connected, synchronised and quoted at once: {await many_clients():.1f} s")
    day = await long_day()
    print(f"{day.hours:.0f} simulated hours, one-second ticks of 22 instruments: {day.seconds:.1f} s")
    print(f"memory after a quarter {day.megabytes_early:.0f} MB, at the end {day.megabytes_end:.0f} MB")
