"""ib_async alone: it subscribes to the symbols named, reads every quote and passes none on."""

import asyncio
import os
import sys
import time

import ib_async


async def main(port: int) -> None:
    client = ib_async.IB()
    await client.connectAsync("127.0.0.1", port, clientId=9)
    contracts = [ib_async.Stock(symbol, "SMART", "USD") for symbol in os.environ["MILLRACE_BENCH_SYMBOLS"].split(",")]
    for contract in await client.qualifyContractsAsync(*contracts):
        client.reqMktData(contract)
    await client.reqCurrentTimeAsync()
    while True:
        await client.reqCurrentTimeAsync()
        print(time.process_time(), flush=True)  # all that was sent before is read; so much processor time it took
        if not await asyncio.to_thread(sys.stdin.readline):  # somebody asks again
            return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
