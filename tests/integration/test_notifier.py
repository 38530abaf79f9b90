"""The notifier with real Redis, PostgreSQL and a real SMTP server on localhost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from pydantic import SecretStr

from cli.servers import free_port
from services.notifier.adapters.apprise import AppriseChannels
from services.notifier.app import build
from services.notifier.config import Settings
from shared.bus import Bus
from shared.clock import WallClock
from shared.config import Common, ConfigError
from shared.messages.base import Envelope, originate
from shared.messages.broker import BrokerTime, SessionChanged
from shared.messages.risk import TradingStateChanged
from shared.types import Mode, SessionState, TradingState


class Mailbox(MessageHandler):
    def __init__(self) -> None:
        super().__init__(EmailMessage)
        self.messages: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.messages.append(message)


@asynccontextmanager
async def running(settings: Settings, common: Common) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(build(settings, common).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def halted(key: str) -> Envelope[Any]:
    change = TradingStateChanged(
        state=TradingState.HALTED, previous=TradingState.ACTIVE, reason="storm at sea", actor="trader"
    )
    return originate(change, source="risk", time=datetime(2012, 6, 1, tzinfo=UTC), subject="account", key=key)


async def wait_for_alerts(common: Common, count: int) -> list[Any]:
    async with asyncio.timeout(20):
        while True:
            async with await psycopg.AsyncConnection.connect(common.database_url) as connection:
                rows = await (await connection.execute("SELECT title, channels, failed FROM alerts")).fetchall()
            if len(rows) >= count:
                return rows
            await asyncio.sleep(0.02)


async def test_an_alert_arrives_by_mail_once_and_a_redelivery_sends_no_second(common: Common) -> None:
    mailbox = Mailbox()
    port = free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    url = f"mailto://127.0.0.1:{port}/?from=millrace@example.com&to=trader@example.com&mode=insecure"
    bus = Bus(common.redis_url, service="risk", consumer="test", clock=WallClock())
    try:
        async with running(Settings(channels=(SecretStr(url),)), common):
            await bus.open()
            await bus.publish([halted("one"), halted("one"), halted("two")])
            assert await wait_for_alerts(common, 2) == [("Trading HALTED", 1, ""), ("Trading HALTED", 1, "")]
    finally:
        await bus.close()
        server.stop()
    assert [message["Subject"] for message in mailbox.messages] == ["Trading HALTED", "Trading HALTED"]
    body = mailbox.messages[0].as_string()
    assert "storm at sea" in body
    assert mailbox.messages[0]["To"] == "trader@example.com"


async def test_a_silent_gateway_is_missed_and_its_return_is_told(common: Common) -> None:
    """The dead man's alert: there is no gateway process at all."""
    paper = common.model_copy(update={"mode": Mode.PAPER})
    bus = Bus(common.redis_url, service="gateway", consumer="test", clock=WallClock())
    async with running(Settings(broker_silence_minutes=0.01), paper):
        await bus.open()
        ((title, *_),) = await wait_for_alerts(common, 1)
        assert title == "The gateway is not heard of"
        now = datetime.now(UTC)
        await bus.publish([originate(BrokerTime(now=now), source="gateway", time=now, subject="session", key="1")])
        titles = [row[0] for row in await wait_for_alerts(common, 2)]
        assert "The gateway is heard again" in titles
    await bus.close()


async def test_an_outage_that_lasts_is_told_once_and_its_end_too(common: Common) -> None:
    bus = Bus(common.redis_url, service="gateway", consumer="test", clock=WallClock())
    async with running(Settings(outage_grace_seconds=0), common):
        await bus.open()
        await bus.publish([moved(SessionState.DEGRADED, "1100")])
        assert [row[0] for row in await wait_for_alerts(common, 1)] == ["Broker session DEGRADED"]
        await bus.publish([moved(SessionState.READY, "")])
        assert sorted(row[0] for row in await wait_for_alerts(common, 2)) == [
            "Broker session DEGRADED", "Broker session READY"
        ]  # fmt: skip
    await bus.close()


def moved(state: SessionState, reason: str) -> Envelope[Any]:
    now = datetime(2012, 6, 1, tzinfo=UTC)
    change = SessionChanged(state=state, reason=reason, account="DU1", since=now)
    return originate(change, source="gateway", time=now, subject="session", key=state)


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SIMULATED])
async def test_the_end_of_the_login_is_told_once_a_week_also_after_a_restart(common: Common, mode: Mode) -> None:
    """A reminder 168 hours ahead is always due."""
    common = common.model_copy(update={"mode": mode})
    await reminded(common)
    assert await reminded(common) == (
        [] if mode is Mode.SIMULATED else ["The broker's log-in ends on Sunday at 01:00 New York"]
    )


async def reminded(common: Common) -> list[str]:
    """The alerts about the log-in, after a notifier was at work and had time for one."""
    bus = Bus(common.redis_url, service="risk", consumer="test", clock=WallClock())
    async with running(Settings(login_reminder_hours=168), common):
        await bus.open()
        key = str(uuid4())
        await bus.publish([halted(key)])
        await wait_for_halts(common, key)
    await bus.close()
    async with await psycopg.AsyncConnection.connect(common.database_url) as connection:
        rows = await (await connection.execute("SELECT title FROM alerts WHERE key LIKE 'login:%'")).fetchall()
    return [row[0] for row in rows]


async def wait_for_halts(common: Common, key: str) -> None:
    wanted = str(halted(key).id)
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(common.database_url) as connection:
        while not await (await connection.execute("SELECT 1 FROM alerts WHERE key = %s", [wanted])).fetchall():
            await connection.rollback()
            await asyncio.sleep(0.02)


async def test_a_dead_channel_is_noted_and_stops_nothing(common: Common) -> None:
    url = "mailto://127.0.0.1:1/?from=millrace@example.com&to=trader@example.com&mode=insecure"
    bus = Bus(common.redis_url, service="risk", consumer="test", clock=WallClock())
    async with running(Settings(channels=(SecretStr(url),)), common):
        await bus.open()
        await bus.publish([halted("one")])
        ((title, channels, failed),) = await wait_for_alerts(common, 1)
    await bus.close()
    assert (title, channels) == ("Trading HALTED", 1)
    assert failed


def test_an_unreadable_channel_is_refused_without_telling_its_secret() -> None:
    with pytest.raises(ConfigError, match="entry 1") as refused:
        AppriseChannels(["nonsense://user:hunter2@example.com"])
    assert "hunter2" not in str(refused.value)
