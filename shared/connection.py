"""The connection to Redis, the groups of the registry, and the trimming of streams."""

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.streams import ALL_STREAMS, Stream

FIELD = "message"  # the one field of every entry
SOCKET_TIMEOUT_SECONDS = 5
LOST = (RedisConnectionError, RedisTimeoutError)

Client = Any  # redis-py annotates every answer as a union of all its protocols' and both clients' shapes


def connect(url: str) -> Client:
    """A client that never repeats a command by itself: redis-py's default retry turns one XADD into two."""
    return cast(Any, Redis).from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


async def ensure_groups(client: Client) -> None:
    """Create every group of the registry at `0`."""
    for stream in ALL_STREAMS:
        for group in stream.groups:
            try:
                await client.xgroup_create(stream.name, group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


async def trim(client: Client, stream: Stream) -> int:
    """Remove entries past the stream's retention that every group has acknowledged; returns how many.

    Redis frees whole blocks of about 100 entries, so that many may stay longer.
    """
    seconds, _ = await client.time()
    oldest_to_keep = (int((seconds - stream.retention.total_seconds()) * 1000), 0)
    try:
        groups = await client.xinfo_groups(stream.name)
    except ResponseError:
        return 0  # the stream does not exist
    if not set(stream.groups) <= {group["name"].decode() for group in groups}:
        return 0  # a reader's group is missing: nobody knows what it still needs
    for group in groups:
        pending = await client.xpending(stream.name, group["name"])
        needed = pending["min"] if pending["pending"] else group["last-delivered-id"]
        milliseconds, sequence = needed.decode().split("-")
        oldest_to_keep = min(oldest_to_keep, (int(milliseconds), int(sequence)))
    if oldest_to_keep <= (0, 0):
        return 0
    return int(await client.xtrim(stream.name, minid=f"{oldest_to_keep[0]}-{oldest_to_keep[1]}", approximate=True))
