"""Five-second bars as they come: each is complete when it is sent.

Where ticks are five seconds apart or more, only the bars that a tick falls into are sent, at once; a day's closing tick
is in the bar that ends with it. Together they are the bars of history.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.simulator.core.aggregate import MAKERS, Bar
from services.simulator.core.tape import Tape
from services.simulator.core.tick_data import Stretch, TapeSource, stretches, within_regular

LENGTH = timedelta(seconds=5)
SHOWS = ("TRADES", "MIDPOINT", "BID", "ASK")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


def _start(moment: datetime) -> datetime:
    return moment - (moment - _EPOCH) % LENGTH


def five_second_bars(
    source: TapeSource, contract_id: int, show: str, after: datetime, now: datetime, *, regular: bool
) -> Iterator[Bar]:
    """Yield the bars that are complete at `now` and were not at `after`, in order."""
    begun = _start(after) - _MOMENT
    for stretch in stretches(source, contract_id, begun, now):
        part = within_regular(stretch) if regular else stretch
        if part is not None:
            yield from _bars(part, show, after, now, regular)


def _bars(stretch: Stretch, show: str, after: datetime, now: datetime, regular: bool) -> Iterator[Bar]:
    tape = stretch.tape
    final = tape.regular[1] if regular else len(tape) - 1
    starts = [_bar_start(tape, index, final) for index in range(stretch.first, stretch.beyond)]
    cuts = [place for place, start in enumerate(starts) if not place or start != starts[place - 1]]
    made = MAKERS[show](stretch, cuts, [starts[cut] for cut in cuts])
    for bar in made:
        assert isinstance(bar.start, datetime)  # noqa: S101 - its start was given as one
        told = _told_at_once(tape, bar.start, final) if tape.step >= LENGTH else bar.start + LENGTH
        if after < told <= now:
            yield bar


def _bar_start(tape: Tape, index: int, final: int) -> datetime:
    time = tape.time(index)
    return _start(time - _MOMENT) if index == final else _start(time)


def _told_at_once(tape: Tape, start: datetime, final: int) -> datetime:
    """Return when the tick in a bar comes."""
    index = tape.index(start + LENGTH - _MOMENT)
    closes = tape.time(final)
    return closes if start == _start(closes - _MOMENT) else tape.time(index)
