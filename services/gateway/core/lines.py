"""Who wants which stream, and which of them have a market data line now.

A line is one subscription of any kind: IBKR counts them all against the account's limit, 100 by default, and allows
fewer of depth and of tick-by-tick data
(https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/, "Market data lines", "Market depth").

| priority | streams | share of the lines |
|---|---|---|
| HELD | held symbols' quotes, and every feed but quotes | as many as it needs; never taken away |
| WATCHED | quotes | what is left, without the part that keeps SCANNED going round |
| SCANNED | quotes | the rest, at least a tenth of what HELD leaves |

Where a priority has more streams than lines they take turns, least recently served first, and no two have had turns
that differ by more than one. A turn ends when the quote is complete, or after `turn_seconds`.
Times are in seconds of any clock that only rises.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from services.gateway.core.line_queue import Queue, Stream, Turns
from services.gateway.core.token_bucket import TokenBucket
from shared.messages.market_requests import Feed, LinePriority

FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 15.0, 900.0
"""How long a stream that the broker refused is left alone: twice as long each time."""
SCANNED_PART = 10
_TICK_BY_TICK = frozenset({Feed.TRADES, Feed.BIDS_AND_ASKS})
_PRIORITIES = tuple(LinePriority)


@dataclass(frozen=True, slots=True)
class LineLimits:
    """`rotation_messages` is how many messages a second turns may use; 0 = without limit."""

    lines: int
    turn_seconds: float
    rotation_messages: int

    @property
    def special(self) -> int:
        """How many streams of depth there may be, and as many of tick-by-tick data: 3, or one for 100 lines."""
        return max(3, self.lines // 100)


class Phase(Enum):
    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()


@dataclass(slots=True)
class Line:
    """A line in use, since when in this phase."""

    priority: LinePriority
    phase: Phase
    since: float


@dataclass(frozen=True, slots=True)
class Share:
    """How many lines a priority has, and whether its streams take turns on them."""

    lines: int
    rotating: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now. Each is answered: `closed` for a close, `opened` or `refused` for an open."""

    close: Sequence[Stream]
    open: Sequence[Stream]


class LinePlan:
    """Every wished stream has a line (`lines`), waits for one (`waiting`), or rests after a refusal."""

    def __init__(self, limits: LineLimits) -> None:
        self.limits = limits
        self.lines: dict[Stream, Line] = {}
        self.waiting = {priority: Queue() for priority in _PRIORITIES}
        self.turns: dict[Stream, Turns] = {}
        self._wishes: dict[Stream, dict[str, LinePriority]] = {}
        self._resting: dict[Stream, float] = {}
        self._rests: dict[Stream, float] = {}
        self._pace = TokenBucket(limits.rotation_messages)
        self._paced_at = dict.fromkeys(_PRIORITIES, float("-inf"))
        self._pace_awaited = False

    # Wishes

    @property
    def wanted(self) -> int:
        return len(self._wishes)

    def want(self, owner: str, streams: Iterable[Stream], priority: LinePriority) -> dict[Stream, str]:
        """Somebody wants these; returns those that are refused, each with the reason."""
        refused, taken = dict[Stream, str](), list[Stream]()
        for stream in streams:
            if stream not in self._wishes and (reason := self._no_room(stream)):
                refused[stream] = reason
                continue
            self._wishes.setdefault(stream, {})[owner] = priority if stream[1] is Feed.QUOTES else LinePriority.HELD
            taken.append(stream)
        self._sort_in(taken)
        return refused

    def leave(self, owner: str, streams: Iterable[Stream]) -> None:
        """Somebody wants these no more; a line that nobody wants is closed by the next step."""
        for stream in streams:
            owners = self._wishes.get(stream, {})
            owners.pop(owner, None)
            if owners:
                self._sort_in([stream])
            elif self._wishes.pop(stream, None) is not None:
                self._unqueue(stream)
                for notes in (self._resting, self._rests, self.turns):
                    notes.pop(stream, None)

    def wanted_by(self, owner: str) -> list[Stream]:
        return [stream for stream, owners in self._wishes.items() if owner in owners]

    def _no_room(self, stream: Stream) -> str:
        """Why there can be no such stream, said before the broker has to say it."""
        feed, most = stream[1], self.limits.special
        alike = _TICK_BY_TICK if feed in _TICK_BY_TICK else frozenset({feed} & {Feed.DEPTH})
        if alike and sum(other in alike for _, other in self._wishes) >= most:
            return (
                f"{most} streams of {' and '.join(sorted(alike))} are wanted already and IBKR allows no more; end one"
            )
        return ""

    def _priority(self, stream: Stream) -> LinePriority:
        return min(self._wishes[stream].values(), key=_PRIORITIES.index)

    def _sort_in(self, streams: Iterable[Stream]) -> None:
        """Put wished streams where their priority belongs; who joins others has had as few turns as any of them."""
        lowest = {priority: min(self._rounds(priority), default=0) for priority in _PRIORITIES}
        for stream in streams:
            priority = self._priority(stream)
            line, turns = self.lines.get(stream), self.turns.setdefault(stream, Turns())
            if stream in self.waiting[priority] or (line is not None and line.priority is priority and turns.round):
                continue
            turns.round = lowest[priority]
            if line is not None:
                line.priority = priority
            elif stream not in self._resting:
                self._unqueue(stream)
                self.waiting[priority].add(stream, turns)

    def _rounds(self, priority: LinePriority) -> list[int]:
        """How many turns those have had who share the lines of a priority."""
        using = [stream for stream, line in self.lines.items() if line.priority is priority and stream in self._wishes]
        return [self.turns[stream].round for stream in (*using, *self.waiting[priority]) if stream in self.turns]

    def _unqueue(self, stream: Stream) -> None:
        for queue in self.waiting.values():
            queue.remove(stream)

    # What happened

    def opened(self, stream: Stream, now: float) -> None:
        """The broker has been asked for it."""
        self.lines[stream].phase, self.lines[stream].since = Phase.OPEN, now

    def closed(self, stream: Stream, now: float) -> None:
        """Its line is free; if it is still wanted, it waits for its next turn."""
        line = self.lines.pop(stream)
        if stream in self._wishes:
            self._rests.pop(stream, None)
            self.turns[stream].served_at = now
            self.waiting[line.priority].add(stream, self.turns[stream])

    def refused(self, stream: Stream, now: float) -> None:
        """The broker does not serve it; it is asked for again later."""
        line = self.lines.pop(stream)
        if stream in self._wishes:
            steady = line.phase is Phase.OPEN and now - line.since > LONGEST_REST_SECONDS
            before = 0 if steady else self._rests.get(stream, 0)
            self._rests[stream] = min(max(before * 2, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)
            self._resting[stream] = now + self._rests[stream]

    def lost(self) -> None:
        """The connection is gone and all lines with it: all is asked for again."""
        streams = [stream for stream in self.lines if stream in self._wishes]
        self.lines.clear()
        self._sort_in(streams)
        self.retry()

    def retry(self) -> None:
        """What was refused may be had now."""
        resting = list(self._resting)
        self._resting.clear()
        self._rests.clear()
        self._sort_in(resting)

    # What to do

    @property
    def settled(self) -> bool:
        """Whether everything but SCANNED that can have a line has been asked for."""
        shares = self._shares()
        for priority in (LinePriority.HELD, LinePriority.WATCHED):
            share = shares[priority]
            opening = sum(line.phase is Phase.OPENING for line in self.lines.values() if line.priority is priority)
            if self._using(priority) < share.lines or (opening and not share.rotating):
                return False
        return True

    def rotates(self, stream: Stream) -> bool:
        """Whether a stream that has a line has it for a turn only."""
        return self._shares()[self.lines[stream].priority].rotating

    def oldest_wait(self, now: float) -> float:
        """Seconds since the stream that waits longest was served, of those that ever were."""
        served = [self.turns[stream].served_at for queue in self.waiting.values() for stream in queue]
        return now - min((at for at in served if at > float("-inf")), default=now)

    def step(self, now: float, complete: Callable[[Stream], bool]) -> Step:
        """What to do now; `complete` tells whether a stream's turn has served its purpose."""
        rested = [stream for stream, until in self._resting.items() if until <= now]
        for stream in rested:
            del self._resting[stream]
        if rested:
            self._sort_in(rested)
        shares = self._shares()
        close = [stream for stream, _ in self._open_lines() if stream not in self._wishes]
        self._closing(close)
        self._pace_awaited = False
        order = sorted(_PRIORITIES, key=lambda priority: self._paced_at[priority])  # HELD never has a turn: first
        for priority in order:
            ending = self._ending(priority, shares[priority], now, complete)
            self._closing(ending)
            close += ending
        begin = [stream for priority in order for stream in self._beginning(priority, shares[priority], now)]
        return Step(close, begin)

    def _may_send(self, priority: LinePriority, messages: int, now: float) -> bool:
        """Whether a turn may use so many messages, one of them now.

        A priority whose turn it is and that must wait for them lets no other go first.
        """
        self._pace_awaited = self._pace_awaited or self._pace.wait(messages, now) > 0
        if not self._pace_awaited:
            self._pace.take(1, now)
            self._paced_at[priority] = now
        return not self._pace_awaited

    def _shares(self) -> dict[LinePriority, Share]:
        demand = {priority: self._using(priority) + len(queue) for priority, queue in self.waiting.items()}
        held = min(demand[LinePriority.HELD], self.limits.lines)
        free = self.limits.lines - held
        kept = min(demand[LinePriority.SCANNED], max(1, free // SCANNED_PART)) if free > 1 else 0
        watched = min(demand[LinePriority.WATCHED], free - kept)
        scanned = min(demand[LinePriority.SCANNED], free - watched)
        return {
            LinePriority.HELD: Share(held, rotating=False),
            LinePriority.WATCHED: Share(watched, rotating=demand[LinePriority.WATCHED] > watched),
            LinePriority.SCANNED: Share(scanned, rotating=demand[LinePriority.SCANNED] > scanned),
        }

    def _using(self, priority: LinePriority) -> int:
        return sum(line.priority is priority and stream in self._wishes for stream, line in self.lines.items())

    def _open_lines(self) -> list[tuple[Stream, Line]]:
        """Those that can be closed, least recently opened first."""
        found = [(stream, line) for stream, line in self.lines.items() if line.phase is Phase.OPEN]
        return sorted(found, key=lambda one: one[1].since)

    def _closing(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            self.lines[stream].phase = Phase.CLOSING

    def _ending(
        self, priority: LinePriority, share: Share, now: float, complete: Callable[[Stream], bool]
    ) -> list[Stream]:
        """Lines to take away: those above the share at once, others when their turn is over and somebody waits."""
        staying = [one.phase is not Phase.CLOSING for one in self.lines.values() if one.priority is priority]
        surplus = sum(staying) - share.lines
        awaited = len(self.waiting[priority]) - max(0, -surplus)
        ending: list[Stream] = []
        for stream, line in self._open_lines():
            if line.priority is not priority:
                continue
            if len(ending) < surplus:
                ending.append(stream)
            elif len(ending) < awaited and (complete(stream) or now - line.since >= self.limits.turn_seconds):
                if not self._may_send(priority, 2, now):  # one to close, one to open the next
                    break
                ending.append(stream)
        return ending

    def _beginning(self, priority: LinePriority, share: Share, now: float) -> list[Stream]:
        """Streams that get a line now."""
        queue, beginning = self.waiting[priority], list[Stream]()
        using = [stream for stream, line in self.lines.items() if line.priority is priority and stream in self._wishes]
        lowest = min((self.turns[stream].round for stream in using), default=None)
        while queue and len(using) + len(beginning) < share.lines and len(self.lines) < self.limits.lines:
            stream = queue.first()
            turns = self.turns[stream]
            ahead = lowest is not None and turns.round > lowest  # somebody with a turn less is having it
            if share.rotating and (ahead or not self._may_send(priority, 1, now)):
                break
            queue.remove(stream)
            turns.round, turns.count = turns.round + 1, turns.count + 1
            lowest = turns.round if lowest is None else min(lowest, turns.round)
            self.lines[stream] = Line(priority, Phase.OPENING, now)
            beginning.append(stream)
        return beginning
