"""The daily bars of a shard, from the table bars, in one query."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.scanner.core.filters import DailyClose
from shared.db.tables import bars
from shared.types import Timeframe


def daily_closes(database: Engine, symbols: Sequence[str], until: datetime, count: int) -> dict[str, list[DailyClose]]:
    """Symbol -> its newest `count` sessions that ended by `until`, oldest first; empty for an unknown symbol.

    Raises:
        psycopg.OperationalError: the database does not answer.
    """
    newness = sa.func.row_number().over(partition_by=bars.c.symbol, order_by=bars.c.end.desc()).label("newness")
    ranked = (
        sa.select(bars.c.symbol, bars.c.end, bars.c.close, bars.c.volume, newness)
        .where(bars.c.symbol.in_(symbols), bars.c.timeframe == Timeframe.DAY, bars.c.end <= until)
        .subquery()
    )
    query = (
        sa.select(ranked.c.symbol, ranked.c.close, ranked.c.volume)
        .where(ranked.c.newness <= count)
        .order_by(ranked.c.symbol, ranked.c.end)
    )
    closes: dict[str, list[DailyClose]] = {symbol: [] for symbol in symbols}
    try:
        with database.connect() as connection:
            for symbol, close, volume in connection.execute(query):
                closes[symbol].append(DailyClose(close, volume))
    except OperationalError as error:
        raise (error.orig or error) from error  # the bus knows psycopg's: it does not count as a failed delivery
    return closes
