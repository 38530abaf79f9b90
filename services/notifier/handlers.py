"""Streams and time -> alert -> log and channels -> row and event."""

import time
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import structlog

from services.notifier.config import Settings
from services.notifier.core.render import Alert, render
from services.notifier.core.watch import Limits, Watch, login_alert, login_ends
from services.notifier.ports import Channels
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.alert import AlertSent
from shared.messages.base import Envelope, follow, originate
from shared.messages.broker import BrokerTime, SessionChanged
from shared.transactor import NOTHING, Effects
from shared.types import Mode

SOURCE = "notifier"
LOGIN = "login:"
"""Begins the keys of alerts about the log-in; the date of the Sunday follows."""
_log = structlog.get_logger()


class Handlers:
    """`reminded`: keys of the alerts about the log-in that were sent already, as in the table `alerts`."""

    def __init__(
        self, settings: Settings, mode: Mode, channels: Channels, clock: Clock, reminded: Collection[str]
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._clock = clock
        self._reminded = set(reminded)
        self._real = mode is not Mode.SIMULATED
        limits = Limits(
            settings.outage_grace_seconds,
            settings.outage_alert_minutes * 60,
            settings.broker_silence_minutes * 60 if self._real else None,
        )
        self._watch = Watch(limits, time.monotonic())

    async def on_event(self, event: Envelope[Any]) -> Effects:
        """Alert once for each event: a crash between sending and committing repeats the alert, never loses it."""
        alert = self._alert(event.data)
        if alert is None:
            return NOTHING
        row, sent = await self._send(alert, str(event.id))
        envelope = follow(event, sent, source=SOURCE, time=self._clock.now(), subject=event.subject)
        return Effects([row], [envelope])

    def _alert(self, data: Any) -> Alert | None:
        match data:
            case SessionChanged():
                return self._watch.session(data, time.monotonic())
            case BrokerTime():
                return self._watch.alive(time.monotonic())
            case _:
                return render(data, self._settings.quiet_codes)

    async def on_time(self) -> Effects:
        """What nobody has said, and time brings."""
        rows: list[Row] = []
        envelopes: list[Envelope[Any]] = []
        for key, alert in self._due(self._clock.now()):
            row, sent = await self._send(alert, key)
            rows.append(row)
            envelopes.append(originate(sent, source=SOURCE, time=self._clock.now(), subject="session", key=key))
        return Effects(rows, envelopes) if rows else NOTHING

    def _due(self, now: datetime) -> Iterator[tuple[str, Alert]]:
        for alert in self._watch.due(time.monotonic()):
            yield f"session:{alert.title}:{now.isoformat()}", alert
        ends = login_ends(now, self._settings.login_reminder_hours) if self._real else None
        if ends is not None and (key := f"{LOGIN}{ends.date()}") not in self._reminded:
            self._reminded.add(key)
            yield key, login_alert(ends, self._settings.weekly_restart_hour)

    async def _send(self, alert: Alert, key: str) -> tuple[Row, AlertSent]:
        _log.info("alert", title=alert.title, body=alert.body, cause=key)
        failed = await self._channels.send(alert)
        if failed:
            _log.error("an alert was not delivered", title=alert.title, channels=failed)
        sent = AlertSent(key=key, title=alert.title, body=alert.body, channels=self._channels.count, failed=failed)
        values = {
            "key": sent.key,
            "title": sent.title,
            "body": sent.body,
            "channels": sent.channels,
            "failed": ", ".join(failed),
            "sent_at": self._clock.now(),
        }
        return Row(tables.alerts, values), sent
