"""Scans: a shard of symbols to look at, and what was found."""

from decimal import Decimal
from uuid import UUID

from pydantic import Field

from shared.messages.base import Message


class ScanShard(Message):
    """Look at these symbols. One scan is several shards, so that workers share it."""

    symbols: tuple[str, ...] = Field(min_length=1)


class Candidate(Message):
    """One symbol's reading: why it was kept or dropped. `momentum` is the return over the look-back, as a fraction."""

    symbol: str
    kept: bool
    reason: str
    close: Decimal | None
    dollar_volume: Decimal | None
    momentum: float | None


class ShardScanned(Message):
    """The answer to one ScanShard."""

    shard_id: UUID
    candidates: tuple[Candidate, ...]
