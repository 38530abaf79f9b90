"""The baseline of the quotes: ib_async alone, which reads every quote and passes none on."""

import asyncio
import os
import sys

import ib_async


async def main(port: int) -> None:
    client = ib_async.IB()
    await client.connectAsync("127.0.0.1", port, clientId=9)
    contracts = [ib_async.Stock(symbol, "SMART", "USD") for symbol in os.environ["MILLRACE_BENCH_SYMBOLS"].split(",")]
    for contract in await client.qualifyContractsAsync(*contracts):
        client.reqMktData(contract)
    await client.reqCurrentTimeAsync()
    print("subscribed", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
