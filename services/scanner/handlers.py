"""A shard of symbols -> each symbol kept or dropped, with the reason."""

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter
from sqlalchemy import Engine

from services.scanner.core.filters import Filters
from services.scanner.history import daily_closes
from shared.messages.base import Envelope, follow
from shared.messages.scan import ScanShard, ShardScanned

SOURCE = "scanner"
SCANNED = Counter("millrace_symbols_scanned_total", "Symbols scanned", ["kept"])


class Handlers:
    def __init__(self, filters: Filters, database: Engine) -> None:
        self._filters = filters
        self._database = database

    async def on_shard(self, shard: Envelope[ScanShard]) -> Sequence[Envelope[Any]]:
        """Judge by the bars that had ended when the scan was ordered: every worker, and every redelivery, says the
        same."""
        symbols, count = shard.data.symbols, self._filters.sessions
        closes = await asyncio.to_thread(daily_closes, self._database, symbols, shard.time, count)
        candidates = tuple(self._filters.judge(symbol, closes[symbol]) for symbol in symbols)
        for candidate in candidates:
            SCANNED.labels(str(candidate.kept).lower()).inc()
        answer = ShardScanned(shard_id=shard.id, candidates=candidates)
        return [follow(shard, answer, source=SOURCE, time=shard.time, subject=shard.subject)]
