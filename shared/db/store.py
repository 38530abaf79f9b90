"""Effects and messages committed with the message that caused them.

The inbox makes a redelivery harmless, the outbox makes a crash between commit and publish harmless:

1. `seen(id)` says whether this consumer has committed the effects of a message.
2. `commit` writes inbox row, state rows and outbox rows in one statement: one transaction, one round trip.
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
def _upsert(table: Table) -> tuple[str, str, str]:
    """The upsert of a table's rows in three parts: up to VALUES, one row's placeholders, and from ON CONFLICT on."""
    statement = postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    statement = (
        statement.on_conflict_do_update(index_elements=keys, set_=others)
        if others
        else statement.on_conflict_do_nothing()
    )
    compiled = statement.compile(dialect=dialect(), column_keys=[column.name for column in table.columns])  # type: ignore[no-untyped-call]
    head, _, rest = str(compiled).partition(" VALUES ")
    values, _, conflict = rest.partition(" ON CONFLICT ")
    return f"{head} VALUES ", values, f" ON CONFLICT {conflict}"


@cache
def _statement(counts: tuple[tuple[Table, int], ...], *, inbox: bool, outbox: int, noting: bool) -> LiteralString:
    """All writes of one message as one statement: one transaction by itself, one round trip, prepared once."""
    parts: list[str] = []
    for number, (table, count) in enumerate(counts):
        head, values, conflict = _upsert(table)
        rows = ", ".join(values.replace(")s", f"_{number}_{row})s") for row in range(count))
        parts.append(f"upsert_{number} AS ({head}{rows}{conflict})")
    if inbox:
        parts.append(_INBOX)
    if outbox:
        parts.append(_OUTBOX.format(rows=", ".join(map(_OUTBOX_ROW.format, range(outbox)))))
    if noting:
        parts.append(_PUBLISHED)
    return cast(LiteralString, f"WITH {', '.join(parts)} SELECT 1")  # made of our own table definitions, not of input


@cache
def _json_columns(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns if isinstance(column.type, JSONB))


def _parameters(row: Row, suffix: str) -> dict[str, Any]:
    if unknown := set(row.values) - set(row.table.columns.keys()):
        raise ValueError(f"table {row.table.name} has no column {', '.join(sorted(unknown))}")
    json = _json_columns(row.table)
    return {
        f"{column.name}{suffix}": Jsonb(row.values[column.name]) if column.name in json else row.values.get(column.name)
        for column in row.table.columns
    }


def _by_table(rows: Sequence[Row]) -> dict[Table, list[Row]]:
    """Rows by table; of several for one primary key the last, which is how the row is to stand."""
    found: dict[Table, dict[tuple[Any, ...], Row]] = {}
    for row in rows:
        key = tuple(row.values.get(column.name) for column in row.table.primary_key)
        found.setdefault(row.table, {})[key] = row
    return {table: list(standing.values()) for table, standing in found.items()}


_INBOX = (
    "inbox_row AS (INSERT INTO inbox (consumer, message_id, handled_at) VALUES (%(service)s, %(cause)s::uuid, now()))"
)
_OUTBOX = (
    "outbox_rows AS (INSERT INTO outbox (message_id, producer, stream, body, created_at, published) VALUES {rows}"
    " ON CONFLICT (message_id) DO NOTHING)"
)
# A row for each message: psycopg quotes an array of texts in Python, which took longer than the rest of a commit.
_OUTBOX_ROW = "(%(message_{0})s::uuid, %(service)s, %(stream_{0})s, %(body_{0})s, now(), false)"
_PUBLISHED = "published AS (UPDATE outbox SET published = true WHERE message_id = ANY(%(noting)s::uuid[]))"


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
        tables = _by_table(rows)
        parameters: dict[str, Any] = {"service": self._service}
        for number, standing in enumerate(tables.values()):
            for index, row in enumerate(standing):
                parameters |= _parameters(row, f"_{number}_{index}")
        if cause is not None:
            parameters["cause"] = cause.id
        for number, message in enumerate(messages):
            parameters[f"message_{number}"] = message.id
            parameters[f"stream_{number}"] = home(message.data).name
            parameters[f"body_{number}"] = message.encode().decode()
        async with self._lock:
            noting, self._to_note = self._to_note, []
            parameters["noting"] = noting
            counts = tuple((table, len(standing)) for table, standing in tables.items())
            if counts or messages or noting or cause is not None:
                statement = _statement(counts, inbox=cause is not None, outbox=len(messages), noting=bool(noting))
                await self._database.execute(statement, parameters)
        if cause is not None:
            self._seen.add(cause.id)

    def note_published(self, message_ids: Iterable[UUID]) -> None:
        """Remember that these are on their streams; written with the next commit or flush."""
        self._to_note.extend(message_ids)

    async def flush(self) -> None:
        """Write down what has been published since the last commit."""
        await self.commit(None, (), ())

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
