"""Streams -> alert -> log and channels -> row and event."""

from typing import Any

import structlog

from services.notifier.config import Settings
from services.notifier.core.render import render
from services.notifier.ports import Channels
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.alert import AlertSent
from shared.messages.base import Envelope, follow
from shared.transactor import NOTHING, Effects

SOURCE = "notifier"
_log = structlog.get_logger()


class Handlers:
    def __init__(self, settings: Settings, channels: Channels, clock: Clock) -> None:
        self._settings = settings
        self._channels = channels
        self._clock = clock

    async def on_event(self, event: Envelope[Any]) -> Effects:
        """Alert once for each event: a crash between sending and committing repeats the alert, never loses it."""
        alert = render(event.data, self._settings.quiet_codes)
        if alert is None:
            return NOTHING
        _log.info("alert", title=alert.title, body=alert.body, cause=str(event.id))
        failed = await self._channels.send(alert)
        if failed:
            _log.error("an alert was not delivered", title=alert.title, channels=failed)
        sent = AlertSent(
            key=str(event.id), title=alert.title, body=alert.body, channels=self._channels.count, failed=failed
        )
        row = Row(
            tables.alerts,
            {
                "key": sent.key,
                "title": sent.title,
                "body": sent.body,
                "channels": sent.channels,
                "failed": ", ".join(failed),
                "sent_at": self._clock.now(),
            },
        )
        envelope = follow(event, sent, source=SOURCE, time=self._clock.now(), subject=event.subject)
        return Effects([row], [envelope])
