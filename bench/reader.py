"""The last reader: follows the quotes, and tells at the end what it has seen, as one JSON line."""

import asyncio
import signal
import sys

import orjson
import uvloop

from shared.bus import Bus
from shared.clock import MessageClock
from shared.messages.base import Envelope
from shared.messages.market import QuoteBatch
from shared.quotes import following


async def main(redis_url: str) -> None:
    bus = Bus(redis_url, service="bench", consumer="bench", clock=MessageClock())
    newest: dict[str, tuple[str, str]] = {}
    batches = 0
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)

    async def take(found: list[Envelope[QuoteBatch]]) -> None:
        nonlocal batches
        batches += len(found)
        for batch in found:
            for quote in batch.data.quotes:
                newest[quote.symbol] = (str(quote.bid), str(quote.ask))

    await bus.open()
    async with following(bus, take):
        print("following", flush=True)
        await stop.wait()
    sys.stdout.buffer.write(orjson.dumps({"batches": batches, "newest": newest}) + b"\n")
    await bus.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
