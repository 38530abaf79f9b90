"""What people order. Cancels and halts are never refused."""

from shared.messages.base import Message


class Halt(Message):
    """Stop opening positions now, and cancel entries that have not filled. Protective orders stay."""

    actor: str
    reason: str


class Flatten(Message):
    """Halt, and close every position at a price that trades now."""

    actor: str
    reason: str


class Resume(Message):
    """Trade again, once our books agree with the broker's."""

    actor: str
    reason: str
