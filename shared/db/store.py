"""Effects and messages committed with the message that caused them.

The inbox makes a redelivery harmless, the outbox makes a crash between commit and publish harmless:

1. `seen(id)` says whether this consumer has committed the effects of a message.
2. `commit` writes inbox row, state rows and outbox rows in one transaction and one round trip.
3. After publishing, `note_published` notes it; the note rides on the next commit, or on `flush`.
4. At start `unpublished` returns what a crash left unsaid. Readers drop what they have seen already.

Each table has one writing service, and each service one process that writes, so the set of seen ids can live in
memory. An advisory lock, held by the very connection that commits, keeps a second process out: whoever loses the
lock with its connection can't commit either.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, LiteralString, cast
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb, set_json_dumps
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.psycopg import dialect

from shared.messages.base import Envelope, Message
from shared.streams import home

INBOX_MEMORY_DAYS = 3
LOCK_SECONDS = 5  # time for PostgreSQL to notice that a predecessor was killed


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is to stand in its table: inserted, or replaced where its primary key is there already."""

    table: Table
    values: Mapping[str, Any]


@cache
def _upsert(table: Table) -> LiteralString:
    statement = postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    statement = (
        statement.on_conflict_do_update(index_elements=keys, set_=others)
        if others
        else statement.on_conflict_do_nothing()
    )
    compiled = statement.compile(dialect=dialect(), column_keys=[column.name for column in table.columns])  # type: ignore[no-untyped-call]
    return cast(LiteralString, str(compiled))  # made of our own table definitions, not of input


@cache
def _json_columns(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns if isinstance(column.type, JSONB))


def _parameters(row: Row) -> dict[str, Any]:
    if unknown := set(row.values) - set(row.table.columns.keys()):
        raise ValueError(f"table {row.table.name} has no column {', '.join(sorted(unknown))}")
    json = _json_columns(row.table)
    return {
        column.name: Jsonb(row.values[column.name]) if column.name in json else row.values.get(column.name)
        for column in row.table.columns
    }


_INBOX: LiteralString = "INSERT INTO inbox (consumer, message_id, handled_at) VALUES (%s, %s, now())"
_OUTBOX: LiteralString = (
    "INSERT INTO outbox (message_id, producer, stream, body, created_at, published)"
    " VALUES (%s, %s, %s, %s, now(), false) ON CONFLICT (message_id) DO NOTHING"
)
_PUBLISHED: LiteralString = "UPDATE outbox SET published = true WHERE message_id = ANY(%s)"


class Store:
    """One service's door to PostgreSQL: one connection, used by one message at a time."""

    def __init__(self, database_url: str, service: str) -> None:
        self._url = database_url
        self._service = service
        self._lock = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._seen: set[UUID] = set()
        self._to_note: list[UUID] = []

    async def open(self) -> None:
        """Connect and learn what was handled already.

        Raises:
            psycopg.OperationalError: the database does not answer.
            RuntimeError: another process of this service is at work.
        """
        set_json_dumps(orjson.dumps)
        self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10)
        await self._lock_out_others()
        await self._learn_seen()

    async def _lock_out_others(self) -> None:
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        while True:
            answer = await self._database.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [self._service]
            )
            if (await answer.fetchall())[0][0]:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"another {self._service} works on this database: stop it, only one may write")
            await asyncio.sleep(0.1)

    async def _learn_seen(self) -> None:
        rows = await self._database.execute(
            "SELECT message_id FROM inbox WHERE consumer = %s AND handled_at > now() - make_interval(days => %s)",
            (self._service, INBOX_MEMORY_DAYS),
        )
        self._seen = {row[0] for row in await rows.fetchall()}

    async def close(self) -> None:
        if self._connection is None:
            return
        try:
            if not self._connection.broken:
                await self.flush()
        finally:
            await self._connection.close()
            self._connection = None

    @property
    def _database(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            raise RuntimeError("the store is not open")
        return self._connection

    def seen(self, message_id: UUID) -> bool:
        """Whether the effects of this message are committed."""
        return message_id in self._seen

    async def commit(
        self, cause: Envelope[Message] | None, rows: Sequence[Row], messages: Sequence[Envelope[Message]]
    ) -> None:
        """Commit the effects of one message: all of them or none.

        Raises:
            ValueError: a row has a column that its table lacks.
            psycopg.IntegrityError: a row breaks a constraint, or `cause` was handled before; nothing is committed.
            psycopg.OperationalError: the database did not take it; nothing is committed.
        """
        async with self._lock, self._database.pipeline(), self._database.transaction():
            execute = self._database.execute
            if cause is not None:
                await execute(_INBOX, (self._service, cause.id))
            for row in rows:
                await execute(_upsert(row.table), _parameters(row))
            for message in messages:
                body = message.encode().decode()
                await execute(_OUTBOX, (message.id, self._service, home(message.data).name, body))
            noting, self._to_note = self._to_note, []
            if noting:
                await execute(_PUBLISHED, (noting,))
        if cause is not None:
            self._seen.add(cause.id)

    def note_published(self, message_ids: Iterable[UUID]) -> None:
        """Remember that these are on their streams; written with the next commit or flush."""
        self._to_note.extend(message_ids)

    async def flush(self) -> None:
        """Write down what has been published since the last commit."""
        async with self._lock:
            noting, self._to_note = self._to_note, []
            if noting:
                await self._database.execute(_PUBLISHED, (noting,))

    async def unpublished(self) -> list[tuple[UUID, str, str]]:
        """(message id, stream, body) of what was committed and perhaps never published, oldest first."""
        rows = await self._database.execute(
            "SELECT message_id, stream, body FROM outbox WHERE producer = %s AND NOT published ORDER BY sequence",
            (self._service,),
        )
        return cast(list[tuple[UUID, str, str]], await rows.fetchall())

    async def recall(self, newest: timedelta) -> None:
        """Mark as unpublished again what was written in this long before the newest message: Redis may have lost it."""
        await self._database.execute(
            "UPDATE outbox SET published = false WHERE producer = %(producer)s"
            " AND created_at > (SELECT max(created_at) FROM outbox WHERE producer = %(producer)s) - %(newest)s",
            {"producer": self._service, "newest": newest},
        )

    async def check(self) -> None:
        """One round trip; raises psycopg.OperationalError where the database does not answer."""
        async with self._lock:
            await self._database.execute("SELECT 1")

    async def purge(self) -> None:
        """Forget inbox rows and published outbox rows that are past their memory."""
        async with self._lock:
            for table, column, condition in (
                ("inbox", "handled_at", "consumer = %s"),
                ("outbox", "created_at", "published AND producer = %s"),
            ):
                statement = f"DELETE FROM {table} WHERE {condition} AND {column} < now() - make_interval(days => %s)"  # noqa: S608 - constants
                await self._database.execute(cast(LiteralString, statement), (self._service, INBOX_MEMORY_DAYS))
            await self._learn_seen()
