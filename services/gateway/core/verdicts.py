"""What became of every order that was sent: none is lost without a verdict, and none is sent twice to be sure.

An order whose bytes were written, and on which the broker has not said a word, is in doubt:

1. Silent for `order_timeout_seconds`, or absent from a complete listing after its connection was lost: UNKNOWN.
2. Absent from two complete listings at least `settle_seconds` apart: it is cancelled by its id, so that it can't come
   to life later (a dialog that nobody has confirmed may hold it back).
3. Absent still from a listing after that: it never reached the broker.

Any word of the broker ends the doubt. Times are in seconds of `time.monotonic`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Verdict(StrEnum):
    """How the doubt about a claimed order ended."""

    ANSWERED = "answered"
    """The broker has said something of it; its own reports count."""
    NEVER_SENT = "never_sent"
    """Withdrawn, or refused by ourselves, before a byte was written."""
    LOST = "lost"
    """Written, and proven never to have reached the broker."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One order that may be sent; the columns of `broker_orders`.

    `broker_order_id` is None where it was withdrawn before it had one. `reported_id` is the id under which the broker
    speaks of it, where that is the broker's own choice (Web API). `verdict` is None while it is in doubt.
    """

    order_ref: str
    broker_order_id: int | None
    symbol: str
    quantity: Decimal
    claimed_at: datetime
    verdict: Verdict | None = None
    reported_id: int | None = None


@dataclass(slots=True)
class Doubt:
    """One order on which the broker has not said a word. `sent_at` is None if an earlier process sent it, perhaps."""

    order_ref: str
    sent_at: float | None
    due: float
    suspect: bool
    """Its connection is gone: it may be missing from the next listing."""
    unknown: bool = False
    """It has been reported UNKNOWN."""
    absent: list[float] = field(default_factory=list[float])
    """When the complete listings that lacked it were begun."""
    cancelled_at: float | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What follows from a complete listing, as orderRefs."""

    unknown: tuple[str, ...]
    to_cancel: tuple[str, ...]
    lost: tuple[Doubt, ...]


class Doubts:
    def __init__(self, timeout_seconds: float, settle_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._settle = settle_seconds
        self._doubts: dict[str, Doubt] = {}
        self._listed_at = float("-inf")

    def __contains__(self, order_ref: str) -> bool:
        return order_ref in self._doubts

    def __len__(self) -> int:
        return len(self._doubts)

    def refs(self) -> tuple[str, ...]:
        return tuple(self._doubts)

    def unknown(self) -> int:
        """How many of them have been reported UNKNOWN."""
        return sum(doubt.unknown for doubt in self._doubts.values())

    def found(self, order_refs: Iterable[str], now: float) -> None:
        """Claims without a verdict, left by an earlier process."""
        for order_ref in order_refs:
            self._doubts[order_ref] = Doubt(order_ref, None, now + self._timeout, suspect=True)

    def sent(self, order_refs: Iterable[str], now: float) -> None:
        """Their bytes were written now."""
        for order_ref in order_refs:
            self._doubts[order_ref] = Doubt(order_ref, now, now + self._timeout, suspect=False)

    def sends_again(self, order_refs: Iterable[str]) -> None:
        """Their command, which an earlier process did not finish, is handled again."""
        for order_ref in order_refs:
            doubt = self._doubts.get(order_ref)
            if doubt is not None and doubt.sent_at is None:
                del self._doubts[order_ref]

    def connection_lost(self) -> None:
        for doubt in self._doubts.values():
            doubt.suspect = True

    def answered(self, order_ref: str) -> bool:
        """The broker said something of an order; returns whether that ends a doubt."""
        return self._doubts.pop(order_ref, None) is not None

    def overdue(self, now: float) -> tuple[str, ...]:
        """Orders that are UNKNOWN from now on, because the broker has been silent for too long."""
        late = [doubt for doubt in self._doubts.values() if not doubt.unknown and doubt.due <= now]
        for doubt in late:
            doubt.unknown = True
        return tuple(doubt.order_ref for doubt in late)

    def listing_due(self, now: float) -> bool:
        """Whether a complete listing would tell something: at once for a new doubt, else every `settle_seconds`."""
        fresh = any((doubt.suspect or doubt.unknown) and not doubt.absent for doubt in self._doubts.values())
        waiting = any(doubt.absent for doubt in self._doubts.values())
        return fresh or (waiting and now - self._listed_at >= self._settle)

    def listed(self, began: float) -> Findings:
        """A complete listing was begun at `began`; what it mentions has been `answered`."""
        self._listed_at = began
        unknown: list[str] = []
        to_cancel: list[str] = []
        lost: list[Doubt] = []
        for doubt in self._doubts.values():
            if doubt.sent_at is not None and doubt.sent_at >= began:
                continue  # perhaps the broker had not read it yet
            if not (doubt.suspect or doubt.unknown):
                continue  # it has time left to answer
            doubt.absent.append(began)
            if not doubt.unknown:
                doubt.unknown = True
                unknown.append(doubt.order_ref)
            if doubt.cancelled_at is not None and began > doubt.cancelled_at:
                lost.append(doubt)
            elif doubt.cancelled_at is None and began - doubt.absent[0] >= self._settle:
                to_cancel.append(doubt.order_ref)
        for doubt in lost:
            del self._doubts[doubt.order_ref]
        return Findings(tuple(unknown), tuple(to_cancel), tuple(lost))

    def cancelled(self, order_ref: str, now: float) -> None:
        """The broker was asked to cancel it, by its id."""
        if order_ref in self._doubts:
            self._doubts[order_ref].cancelled_at = now


def evidence(doubt: Doubt, broker_order_id: int | None) -> str:
    """Why an order is judged never to have reached the broker."""
    seconds = doubt.absent[-1] - doubt.absent[0]
    return (
        f"never reached the broker: missing from {len(doubt.absent)} complete listings over {seconds:.1f} s, "
        f"also after its id {broker_order_id} was cancelled"
    )
