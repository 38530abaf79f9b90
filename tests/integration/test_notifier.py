"""The notifier with real Redis, PostgreSQL and a real SMTP server on localhost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from typing import Any

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
from shared.messages.risk import TradingStateChanged
from shared.types import TradingState


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
