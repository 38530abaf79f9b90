"""The baseline: a bare redis-py chain with as many hops and as many PostgreSQL commits as an order's way has.

One process for each service. The first reads a line from a socket, the last writes one; between them each reads its
stream with XREADGROUP, commits one row where the service it stands for commits, and sends XADD and XACK in one MULTI.
Nothing is decoded, decided or checked.

    gateway -> market.quotes -> marketdata* -> market.bars -> strategy -> strategy.signals -> risk*
            -> order.commands -> execution* -> broker.commands -> gateway*          (* commits)
"""

import asyncio
import sys
from typing import Any

import psycopg
import uvloop
from redis.asyncio import Redis

HOPS = ("quotes", "bars", "signals", "orders", "sends")
COMMITS = ("quotes", "signals", "orders", "sends")  # by the reader of these
BODY = b"x" * 1000  # about the size of our messages


async def first(redis: Any, port: int) -> None:
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    while await reader.readline():
        await redis.xadd("bare.quotes", {"message": BODY})


async def middle(redis: Any, hop: str, database_url: str, port: int) -> None:
    stream, following = f"bare.{hop}", HOPS[HOPS.index(hop) + 1 :]
    database = await psycopg.AsyncConnection.connect(database_url, autocommit=True) if hop in COMMITS else None
    writer = None if following else (await asyncio.open_connection("127.0.0.1", port))[1]
    while True:
        answer = await redis.xreadgroup("bare", "bare", {stream: ">"}, count=64, block=1000)
        for entry_id, fields in answer[0][1] if answer else ():
            if database is not None:
                await database.execute("INSERT INTO bare (body) VALUES (%s)", (fields[b"message"],))
            if writer is not None:
                writer.write(b"order\n")
            pipeline = redis.pipeline(transaction=True)
            if following:
                pipeline.xadd(f"bare.{following[0]}", {"message": fields[b"message"]})
            pipeline.xack(stream, "bare", entry_id)
            await pipeline.execute()


async def main(role: str, redis_url: str, database_url: str, port: int) -> None:
    redis = Redis.from_url(redis_url)
    await (first(redis, port) if role == "first" else middle(redis, role, database_url, port))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
