"""Alert channels through Apprise: e-mail, SMS, chat, webhooks, by URL."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import apprise

from services.notifier.core.render import Alert
from shared.config import ConfigError

SEND_TIMEOUT_SECONDS = 20


class AppriseChannels:
    def __init__(self, urls: Sequence[str]) -> None:
        """Raises ConfigError for a URL that Apprise can't read; the text does not repeat its secrets."""
        self._services: list[Any] = []
        for number, url in enumerate(urls, 1):
            service = cast(Any, apprise.Apprise).instantiate(url)  # Apprise is typed in part only
            if service is None:
                kind = url.partition(":")[0]
                raise ConfigError(
                    f"notifier.toml: channels entry {number} ({kind}://...) is no URL that Apprise knows; "
                    "see https://github.com/caronc/apprise/wiki"
                )
            self._services.append(service)

    @property
    def count(self) -> int:
        return len(self._services)

    async def send(self, alert: Alert) -> tuple[str, ...]:
        results = await asyncio.gather(*(self._send_one(service, alert) for service in self._services))
        return tuple(kind for kind, taken in results if not taken)

    async def _send_one(self, service: Any, alert: Alert) -> tuple[str, bool]:
        try:
            sending = service.async_notify(title=alert.title, body=alert.body)
            taken = bool(await asyncio.wait_for(sending, SEND_TIMEOUT_SECONDS))
        except (TimeoutError, TypeError, OSError):
            taken = False
        return str(service.service_name), taken
