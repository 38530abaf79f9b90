"""What the notifier needs from outside."""

from typing import Protocol

from services.notifier.core.render import Alert


class Channels(Protocol):
    """Everywhere an alert goes besides the log."""

    @property
    def count(self) -> int: ...

    async def send(self, alert: Alert) -> tuple[str, ...]:
        """Send to every channel; returns the kinds (never the addresses) of those that did not take it."""
        ...
