"""The right to be the gateway, held for a while: who may send, and who may take it over. Pure arithmetic.

Two clocks are used, and never compared. The database's clock says when a lease expires for others. The holder's own
monotonic clock says how long it may rely on it: for half of the time, counted from before it asked, so that it has
stopped long before anybody else may begin, however slow the answer was and however long it was frozen.
"""

from dataclasses import dataclass
from datetime import datetime

RELIED_ON = 1 / 2
RENEWED_EVERY = 1 / 3


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that is ours. `asked_at`: seconds of the monotonic clock before the newest renewal was asked for."""

    epoch: int
    seconds: float
    asked_at: float

    def seconds_left(self, now: float) -> float:
        """How long messages may still be sent without a renewal; 0 or less: not any more."""
        return self.asked_at + self.seconds * RELIED_ON - now

    def renewal_due(self, now: float) -> float:
        """Seconds until the lease is to be renewed; 0 when it is now."""
        return max(self.asked_at + self.seconds * RENEWED_EVERY - now, 0.0)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is another's, as the database has it."""

    holder: str
    epoch: int
    expires_at: datetime


def is_alive(first: Held, now: Held) -> bool:
    """Whether its holder renews it: a lease that was seen to change has somebody behind it."""
    return (now.epoch, now.expires_at) != (first.epoch, first.expires_at)
