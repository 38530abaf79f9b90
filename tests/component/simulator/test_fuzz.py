"""Random and mutated inputs against the real server: it answers or closes, and nobody else notices.

An exception that escapes a handler ends the server (its `failure`), which ends the test with that exception. Every
few inputs inside a session are followed by a probe, a request with a known answer: inputs are done with when the probe
is answered or the connection is closed. The same seed gives the same inputs in the same order.
"""

import asyncio
import gc
import logging
import os
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest
import structlog
from ib_async import IB, Stock

from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.wire import answers, requests
from services.simulator.wire.framing import frame, split_fields
from tests.component.simulator.fuzz_inputs import framed, garbage, mutated, openings, payload, request

INPUTS = int(os.environ.get("MILLRACE_FUZZ_INPUTS", "50000"))
SECONDS = 10
BATCH = 24
GROUP = 4
"""Inputs to one probe."""
PLAUSIBLE = 2_000
"""Different plausible requests per version."""
STRANGERS = 0.02
"""Part of the inputs that come instead of a handshake."""
MUTATED = 0.1
"""Part of the others that are not plausible requests."""
CLIENTS = 5_000
"""Client ids: order ids of one must grow, and a mutated one may be the last that it can have."""
NEW_ORDERS = 0.8
"""Part of the orders that have a new id; the others change one, or try to."""
GROWTH = 96 << 20
FIRST = 900_000_000
VERSIONS = (157, 163, 176, 178)


def probe(version: int) -> bytes:
    """Return a request for a contract that there is none of; its request id is FIRST."""
    values = {"request_id": FIRST, "symbol": "NOTHING", "sec_type": "STK"}
    return frame(requests.write_request(requests.REQUEST_CONTRACT_DETAILS, values, version))


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """The server logs every message that it cannot read."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


class Fuzzer:
    """Connects again and again, from changing addresses so that closed connections cannot use up the ports."""

    def __init__(self, port: int, seed: int) -> None:
        self.chance = random.Random(seed)
        self.done = 0
        self.strangers = 0
        self.closed = 0
        self._port = port
        self._probes = count(FIRST)
        self._addresses = count()
        self._order_ids = count(3_000)
        self._strangers = openings(self.chance)
        self._plausible = {version: [request(self.chance, version) for _ in range(PLAUSIBLE)] for version in VERSIONS}
        self._left: list[bytes] = []
        self._version = VERSIONS[0]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = f"127.0.1.{next(self._addresses) % 250 + 1}"
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))

    async def stranger(self) -> None:
        """Send one wrong beginning; the server must close."""
        reader, writer = await self._connect()
        with suppress(ConnectionError):
            writer.write(next(self._strangers))
            writer.write_eof()
            async with asyncio.timeout(SECONDS):
                while await reader.read(1 << 16):
                    pass
        self.strangers += 1
        self.done += 1
        _drop(writer)

    async def session(self) -> None:
        """Send a batch of inputs in one session; those that were not reached come first in the next one."""
        if not self._left:
            self._version = self.chance.choice(VERSIONS)
        version, template = self._version, probe(self._version)
        inputs = self._left + [self._input(version) for _ in range(BATCH - len(self._left))]
        groups = [inputs[start : start + GROUP] for start in range(0, len(inputs), GROUP)]
        probes = [next(self._probes) for _ in groups]
        reader, writer = await self._connect()
        parts = [frame(("71", "2", str(self.chance.randrange(2, CLIENTS)), ""))]
        for group, number in zip(groups, probes, strict=True):
            parts += *map(framed, group), template.replace(b"%d" % FIRST, b"%d" % number)
        with suppress(ConnectionError):
            writer.write(b"API\0" + framed(f"v157..{version}".encode()))
            await reader.readexactly(4)
            writer.write(b"".join([*parts, garbage(self.chance)]))
            writer.write_eof()
            async with asyncio.timeout(SECONDS):
                answered = await self._answers(reader, version, probes)
        _drop(writer)
        self.closed += answered < len(groups)
        self._left = inputs[(answered + 1) * GROUP :]
        # one input of the first group not answered ended the session; those after it in the group do not count
        self.done += sum(map(len, groups[:answered])) + 1

    def _input(self, version: int) -> bytes:
        fields = list(self.chance.choice(self._plausible[version]))
        if fields[0] == str(requests.PLACE) and self.chance.random() < NEW_ORDERS:
            fields[1] = str(next(self._order_ids))
        return mutated(self.chance, fields) if self.chance.random() < MUTATED else payload(fields)

    async def _answers(self, reader: asyncio.StreamReader, version: int, probes: list[int]) -> int:
        """Read until the server closes, all of it well-formed; return how many probes were answered."""
        buffer = bytearray()
        handshake = await reader.readuntil(b"\0")
        assert int(handshake[:-1]) in VERSIONS
        await reader.readuntil(b"\0")
        answered = 0
        with suppress(ConnectionError):
            while data := await reader.read(1 << 18):
                buffer += data
                start = 0
                while len(buffer) - start >= 4:
                    (length,) = struct.unpack_from(">I", buffer, start)
                    if len(buffer) - start - 4 < length:
                        break
                    found = bytes(buffer[start + 4 : start + 4 + length])
                    start += 4 + length
                    if answered < len(probes) and found.startswith(b"4\x002\x00%d\x00" % probes[answered]):
                        answered += 1
                    elif self.chance.random() < 0.02 and length:
                        answers.read_answer(split_fields(found), version)
                del buffer[:start]
        return answered


def _drop(writer: asyncio.StreamWriter) -> None:
    """Close without leaving the port occupied."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(600)
async def test_nothing_sent_to_the_socket_does_harm() -> None:
    settings = Settings.model_validate(
        {
            "port": 0,
            "market": "synthetic",
            "symbols": ("AAPL", "IBM", "SPY"),
            "indices": ("SPX",),
            "futures": ("ES",),
            "currencies": ("EUR.USD",),
            "start": date(2010, 1, 4),
            "end": date(2010, 2, 26),
            "warmup_days": 10,
            "cash": 1_000_000_000,
            "messages_per_second": 0,
            "historical_pacing": False,
        }
    )
    simulator = Simulator(settings, None)
    async with simulator.serving() as failure:
        observer = IB()
        await observer.connectAsync("127.0.0.1", simulator.port, clientId=1, timeout=SECONDS)
        (details,) = await observer.reqContractDetailsAsync(Stock("AAPL", "SMART", "USD"))
        assert details.contract is not None
        ticker = observer.reqMktData(details.contract)
        fuzzer = Fuzzer(simulator.port, seed=20100104)
        before = 0
        seen = 0
        while fuzzer.done < INPUTS and not failure.done():
            for _ in range(20):
                await fuzzer.session()
            while fuzzer.strangers < fuzzer.done * STRANGERS:
                await fuzzer.stranger()
            simulator.broker.advance(simulator.engine.now + timedelta(minutes=fuzzer.chance.choice((1, 1, 5, 60))))
            seen += await _noticed(observer, ticker)
            if not before and fuzzer.done > INPUTS // 10:
                before = resident_bytes()
        assert not failure.done(), failure.exception()
        assert observer.isConnected()
        assert seen > 10
        assert fuzzer.done >= INPUTS
        assert INPUTS // 1000 < fuzzer.closed < INPUTS // 4, "inputs are neither all fine nor all fatal"
        assert resident_bytes() - before < GROWTH
        assert len(simulator.engine.book.orders) > INPUTS // 50
        assert len(simulator.engine.executions) > INPUTS // 500
        observer.disconnect()


async def _noticed(observer: IB, ticker: object) -> bool:
    """Return whether the observer has had ticks; it must be answered at once in any case."""
    async with asyncio.timeout(SECONDS):
        now = await observer.reqCurrentTimeAsync()
    return now is not None and bool(getattr(ticker, "ticks", None) or getattr(ticker, "time", None))
