"""What the trader was told."""

from shared.messages.base import Message


class AlertSent(Message):
    """One alert went to the log and to every channel. `failed` names the channels that did not take it."""

    key: str
    title: str
    body: str
    channels: int
    failed: tuple[str, ...]


class DeadLetter(Message):
    """An entry that its reader could not handle, moved here with the reason."""

    stream: str
    entry_id: str
    group: str
    reason: str
    body: str
