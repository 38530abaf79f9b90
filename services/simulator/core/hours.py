"""When an order may trade, and when it ends.

- An order is compared with the ticks of regular hours, or with all of its tape if it is valid outside them.
- OPG orders are in the opening auction alone; those received after it wait for the next day's.
- A DAY order ends with the first trading day that it could trade in, GTD at its time, GTC at the end of the calendar
  quarter after the one it was received in (IBKR, "Good-Till-Canceled"), each after a match at that very tick.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from services.simulator.core.orders import OrderRequest
from services.simulator.core.tape import Tape

EXCHANGE_ZONE = ZoneInfo("America/New_York")


NextTape: TypeAlias = Callable[[datetime], Tape | None]
"""Returns the tape that is running at a time, or the next one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The ticks of one tape, from `first` until before `beyond`, in which an order may trade."""

    tape: Tape
    first: int
    beyond: int

    @property
    def start(self) -> datetime:
        return self.tape.time(self.first)

    @property
    def end(self) -> datetime:
        """Time of the last tick: what arrives at it comes too late."""
        return self.tape.time(self.beyond - 1)


def stretch_on(tape: Tape, request: OrderRequest) -> Stretch:
    """Return the part of a tape that an order may trade in."""
    first, last = tape.regular
    if request.time_in_force == "OPG":
        return Stretch(tape, first, first + 1)
    if request.outside_regular_hours:
        return Stretch(tape, 0, len(tape))
    return Stretch(tape, first, last + 1)


def next_stretch(next_tape: NextTape, request: OrderRequest, now: datetime) -> Stretch | None:
    """Return the stretch that is running or the next one, None if the data have no more."""
    after = now
    while (tape := next_tape(after)) is not None:
        stretch = stretch_on(tape, request)
        if stretch.end > now:
            return stretch
        after = tape.end
    return None


def last_moment(request: OrderRequest, received: datetime) -> datetime | None:
    """Return when a GTC or GTD order ends by its terms; DAY orders end with their stretch."""
    if request.time_in_force == "GTD":
        return request.good_till
    if request.time_in_force == "GTC":
        return _end_of_next_quarter(received.astimezone(EXCHANGE_ZONE).date())
    return None


def _end_of_next_quarter(day: date) -> datetime:
    first_month = (day.month - 1) // 3 * 3 + 7  # of the quarter after the next one
    beyond = date(day.year + (first_month - 1) // 12, (first_month - 1) % 12 + 1, 1)
    return datetime.combine(beyond, time(), EXCHANGE_ZONE).astimezone(UTC) - timedelta(seconds=1)
