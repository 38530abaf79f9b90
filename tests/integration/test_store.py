"""The store and the transactor against a real PostgreSQL and Redis, in one process."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shared.db import store as store_module
from shared.db import tables
from shared.db.engine import engine, migrate, schema_lag
from shared.db.store import Row, Store
from shared.messages.base import Envelope
from shared.transactor import Effects, Transactor
from tests.integration.bus_service import answer
from tests.tools import eventually, make_bar, make_bus

BARS = "market.bars"


def alert(key: str, **changes: Any) -> Row:
    values = {"key": key, "title": "t", "body": "b", "channels": 1, "failed": "", "sent_at": make_bar(1).time}
    return Row(tables.alerts, values | changes)


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def transactor(redis_url: str, database_url: str) -> Transactor:
    made = Transactor(make_bus(redis_url, "strategy"), Store(database_url, "strategy"))

    async def decide(bar: Envelope[Any]) -> Effects:
        return Effects([alert(str(bar.data.volume))], [answer(bar)])

    made.subscribe(BARS, decide)
    return made


async def at_work(made: Transactor, condition: Callable[[], Any]) -> None:
    """Run it until the condition holds."""
    stop = asyncio.Event()
    await made.open()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(made.run(stop))
            await eventually(condition)
            stop.set()
    finally:
        await made.close()


def test_migrations_make_exactly_the_tables(make_database: Callable[..., str]) -> None:
    url = make_database(migrated=False)
    assert schema_lag(url) is not None
    migrate(url)
    assert schema_lag(url) is None
    database = engine(url)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == [], "tables.py changed: write a migration"
    database.dispose()


async def test_effects_are_committed_together_or_not_at_all(database_url: str) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    bar = make_bar(1)
    with pytest.raises(psycopg.errors.NotNullViolation, match="title"):
        await store.commit(bar, [alert("good"), alert("bad", title=None)], [answer(bar)])
    assert query(database_url, "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox)") == [(0, 0)]
    assert query(database_url, "SELECT key FROM alerts") == []
    assert not store.seen(bar.id)
    await store.commit(bar, [alert("good")], [answer(bar)])  # the connection works on
    assert query(database_url, "SELECT key FROM alerts") == [("good",)]
    assert store.seen(bar.id)
    await store.close()


async def test_a_row_replaces_the_one_with_its_key(database_url: str) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    await store.commit(None, [alert("a", title="one"), alert("b"), alert("a", title="two")], [])
    assert query(database_url, "SELECT key, title FROM alerts ORDER BY key") == [("a", "two"), ("b", "t")]
    await store.close()


async def test_a_column_that_does_not_exist_is_named(database_url: str) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    with pytest.raises(ValueError, match="table alerts has no column titel"):
        await store.commit(None, [alert("a", titel="x")], [])
    await store.close()


async def test_decimals_and_json_come_back_as_they_went_in(database_url: str) -> None:
    store = Store(database_url, "risk")
    await store.open()
    price = Decimal("101.123456789012345678")
    values = {"symbol": "AAPL", "quantity": Decimal(-3), "average_price": price, "realised": 0, "commissions": 0,
              "changed_at": make_bar(1).time}  # fmt: skip
    await store.commit(None, [Row(tables.positions, values)], [])
    assert query(database_url, "SELECT quantity, average_price FROM positions") == [(Decimal(-3), price)]
    await store.close()


async def test_what_was_handled_is_remembered_over_a_restart_and_forgotten_in_time(database_url: str) -> None:
    bar = make_bar(1)
    store = Store(database_url, "strategy")
    await store.open()
    await store.commit(bar, [], [answer(bar)])
    store.note_published([answer(bar).id])
    await store.close()

    store = Store(database_url, "strategy")
    await store.open()
    assert store.seen(bar.id)
    assert await store.unpublished() == []
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE inbox SET handled_at = now() - interval '4 days'")
        connection.execute("UPDATE outbox SET created_at = now() - interval '4 days'")
    await store.purge()
    assert not store.seen(bar.id)
    assert query(database_url, "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox)") == [(0, 0)]
    await store.close()


async def test_a_second_process_of_a_service_is_kept_out(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    first, second, other = (Store(database_url, name) for name in ("strategy", "strategy", "risk"))
    await first.open()
    await other.open()
    with pytest.raises(RuntimeError, match="another strategy works on this database"):
        await second.open()
    await second.close()
    await first.close()
    await second.open()
    for store in (second, other):
        await store.close()


async def test_a_message_delivered_twice_takes_effect_once(redis_url: str, database_url: str) -> None:
    made = transactor(redis_url, database_url)
    writer = make_bus(redis_url, "marketdata")
    await writer.publish([make_bar(1), make_bar(1), make_bar(2)])
    await at_work(made, lambda: len(query(database_url, "SELECT 1 FROM alerts")) == 2)
    await writer.publish([make_bar(1), make_bar(3)])  # again after the restart
    await at_work(transactor(redis_url, database_url), lambda: len(query(database_url, "SELECT 1 FROM alerts")) == 3)
    assert len(query(database_url, "SELECT 1 FROM outbox")) == 3
    reports = await writer.tail("job.events", 10)
    assert [report.causationid for report in reports] == [make_bar(number).id for number in (1, 2, 3)]
    assert query(database_url, "SELECT 1 FROM outbox WHERE NOT published") == []
    await writer.close()


async def test_what_was_committed_and_not_published_goes_out_at_the_next_start(
    redis_url: str, database_url: str
) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    await store.commit(make_bar(1), [], [answer(make_bar(1))])
    await store.close()  # as if killed here
    made = transactor(redis_url, database_url)
    await made.open()
    (report,) = await made.bus.tail("job.events", 10)
    assert report == answer(make_bar(1))
    assert query(database_url, "SELECT published FROM outbox") == [(True,)]
    await made.close()


async def test_a_redis_that_lost_everything_is_told_again(redis_url: str, database_url: str) -> None:
    writer = make_bus(redis_url, "marketdata")
    await writer.publish([make_bar(1), make_bar(2)])
    made = transactor(redis_url, database_url)
    await at_work(made, lambda: query(database_url, "SELECT count(*) FROM outbox WHERE published") == [(2,)])
    await writer.client.flushall()
    made = transactor(redis_url, database_url)
    await made.open()
    assert await made.bus.tail("job.events", 10) == [answer(make_bar(1)), answer(make_bar(2))]
    await made.close()
    made = transactor(redis_url, database_url)
    await made.open()
    assert await made.bus.client.xlen("job.events") == 2  # told once
    await made.close()
    await writer.close()


async def test_a_redis_that_was_restarted_hears_the_newest_messages_again(redis_url: str, database_url: str) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    for number in (1, 2):
        await store.commit(make_bar(number), [], [answer(make_bar(number))])
        store.note_published([answer(make_bar(number)).id])
    await store.close()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE outbox SET created_at = created_at - interval '2 minutes' WHERE sequence = 1")
    made = transactor(redis_url, database_url)
    await made.bus.client.set("strategy.outbox", "the run before")
    await made.open()
    assert await made.bus.tail("job.events", 10) == [answer(make_bar(2))]
    await made.close()


async def test_a_message_that_may_not_be_published_is_not_committed(redis_url: str, database_url: str) -> None:
    made = transactor(redis_url, database_url)
    await made.open()
    with pytest.raises(ValueError, match="strategy may not write Bar"):
        await made.perform(Effects([alert("a")], [make_bar(1)]))
    assert query(database_url, "SELECT key FROM alerts") == []
    await made.close()


async def test_recall_reaches_as_far_back_as_it_is_told(database_url: str) -> None:
    store = Store(database_url, "strategy")
    await store.open()
    for number in range(1, 4):
        await store.commit(make_bar(number), [], [answer(make_bar(number))])
        store.note_published([answer(make_bar(number)).id])
    await store.flush()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE outbox SET created_at = created_at - (3 - sequence) * interval '1 hour'")
    await store.recall(timedelta(minutes=90))
    assert [row[0] for row in await store.unpublished()] == [answer(make_bar(number)).id for number in (2, 3)]
    await store.close()


async def test_the_readiness_check_fails_without_a_database(redis_url: str, database_url: str) -> None:
    made = transactor(redis_url, database_url)
    await made.open()
    await made.check()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                           " AND datname = current_database()")  # fmt: skip
    with pytest.raises(psycopg.OperationalError):
        await made.check()
    await made.close()
