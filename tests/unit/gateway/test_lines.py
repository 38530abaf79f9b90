"""The plan of market data lines: never above the limit, everybody served, fairly, and what is held stays."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.core.line_queue import Stream
from services.gateway.core.lines import FIRST_REST_SECONDS, LineLimits, LinePlan, Phase
from shared.messages.market_requests import Feed, LinePriority

HELD, WATCHED, SCANNED = LinePriority.HELD, LinePriority.WATCHED, LinePriority.SCANNED


def quotes(prefix: str, count: int) -> list[Stream]:
    return [(f"{prefix}{number}", Feed.QUOTES) for number in range(count)]


def plan(lines: int, *, turn_seconds: float = 5, rotation_messages: int = 0) -> LinePlan:
    return LinePlan(LineLimits(lines, turn_seconds, rotation_messages))


@dataclass
class Broker:
    """Carries the plan out, one second for each step, and keeps account of it."""

    plan: LinePlan
    complete: Callable[[Stream], bool] = lambda _: True
    now: float = 0
    most: int = 0
    lines: set[Stream] = field(default_factory=set[Stream])

    def run(self, steps: int) -> None:
        for _ in range(steps):
            step = self.plan.step(self.now, self.complete)
            for stream in step.close:
                self.lines.remove(stream)
                self.plan.closed(stream, self.now)
            for stream in step.open:
                assert stream not in self.lines
                self.lines.add(stream)
                self.plan.opened(stream, self.now)
            self.most = max(self.most, len(self.lines))
            assert set(self.plan.lines) == self.lines
            self.now += 1


@given(
    lines=st.integers(2, 12),
    held=st.integers(0, 12),
    watched=st.integers(0, 30),
    scanned=st.integers(0, 30),
    slow=st.sets(st.integers(0, 29)),
    pace=st.sampled_from([0, 4]),
)
@settings(max_examples=100, deadline=None)
def test_never_above_the_limit_everybody_served_and_fair(
    lines: int, held: int, watched: int, scanned: int, slow: set[int], pace: int
) -> None:
    held = min(held, lines - 2)
    made = plan(lines, rotation_messages=pace)
    for priority, count in ((SCANNED, scanned), (WATCHED, watched), (HELD, held)):
        assert made.want("me", quotes(priority, count), priority) == {}
    slow_ones = {(f"{priority}{number}", Feed.QUOTES) for number in slow for priority in (WATCHED, SCANNED)}
    broker = Broker(made, lambda stream: stream not in slow_ones)
    broker.run(400)
    assert broker.most <= lines
    for priority, count in ((HELD, held), (WATCHED, watched), (SCANNED, scanned)):
        turns = [made.turns[stream].count for stream in quotes(priority, count)]
        assert min(turns, default=1) >= 1, "somebody was never served"
        assert max(turns, default=0) - min(turns, default=0) <= 1, "somebody has had two turns more than another"
    assert all(made.turns[stream].count == 1 for stream in quotes(HELD, held)), "a held line was taken away"


ACTIONS = st.one_of(
    st.tuples(st.just("want"), st.integers(0, 14), st.sampled_from(list(LinePriority)), st.sampled_from(["a", "b"])),
    st.tuples(st.just("leave"), st.integers(0, 14), st.just(HELD), st.sampled_from(["a", "b"])),
    st.tuples(st.sampled_from(["refuse", "lose", "run"]), st.integers(0, 14), st.just(HELD), st.just("a")),
)


@given(actions=st.lists(ACTIONS, max_size=60), lines=st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_whatever_happens_the_plan_knows_its_lines_and_serves_what_is_wanted(
    actions: list[tuple[str, int, LinePriority, str]], lines: int
) -> None:
    made = plan(lines)
    broker = Broker(made)
    wishes: dict[Stream, dict[str, LinePriority]] = {}
    for what, number, priority, owner in actions:
        stream = (f"S{number}", Feed.QUOTES)
        if what == "want":
            made.want(owner, [stream], priority)
            wishes.setdefault(stream, {})[owner] = priority
        elif what == "leave":
            made.leave(owner, [stream])
            wishes.get(stream, {}).pop(owner, None)
        elif what == "refuse" and broker.lines:
            stream = sorted(broker.lines)[number % len(broker.lines)]
            broker.lines.remove(stream)
            made.refused(stream, broker.now)
        elif what == "lose":
            broker.lines.clear()
            made.lost()
        broker.run(1)
        assert broker.most <= lines
    wanted = {stream: set(owners.values()) for stream, owners in wishes.items() if owners}
    held = [stream for stream, priorities in wanted.items() if HELD in priorities]
    before = {stream: made.turns[stream].count for stream in wanted}
    broker.run(1000)
    assert made.wanted == len(wanted)
    assert broker.lines <= set(wanted)
    if len(held) < lines - 1:
        assert set(held) <= broker.lines
        served = {stream for stream in wanted if stream in broker.lines or made.turns[stream].count > before[stream]}
        assert served == set(wanted), "somebody is never served again"


def test_held_takes_the_line_that_was_opened_first_from_scanned_then_from_watched() -> None:
    made = plan(4)
    made.want("me", quotes("W", 2), WATCHED)
    made.want("me", quotes("S", 2), SCANNED)
    broker = Broker(made, lambda _: False)
    broker.run(1)
    assert len(broker.lines) == 4
    made.want("me", quotes("H", 1), HELD)
    broker.run(2)
    assert broker.lines == {*quotes("H", 1), *quotes("W", 2), ("S1", Feed.QUOTES)}
    made.want("me", quotes("H", 3), HELD)
    broker.run(2)
    assert set(quotes("H", 3)) < broker.lines
    assert made.oldest_wait(broker.now) > 0


def test_a_turn_ends_when_complete_or_late_and_only_if_somebody_waits() -> None:
    made = plan(1, turn_seconds=5)
    made.want("me", quotes("S", 1), SCANNED)
    broker = Broker(made)
    broker.run(20)
    assert made.turns["S0", Feed.QUOTES].count == 1
    broker.complete = lambda stream: stream[0] == "S1"
    made.want("me", quotes("S", 2), SCANNED)
    broker.run(2)
    assert broker.lines == {("S1", Feed.QUOTES)}  # S0 had been open for longer than a turn
    broker.run(2)
    assert broker.lines == {("S0", Feed.QUOTES)}  # S1 was complete at once
    broker.run(4)
    assert broker.lines == {("S0", Feed.QUOTES)}
    broker.run(2)
    assert broker.lines == {("S1", Feed.QUOTES)}


def test_turns_use_no_more_messages_than_they_may() -> None:
    made = plan(10, rotation_messages=6)
    made.want("me", quotes("S", 50), SCANNED)
    messages: list[int] = []
    for second in range(30):
        sent = 0
        for part in range(10):
            now = second + part / 10
            step = made.step(now, lambda _: True)
            sent += len(step.close) + len(step.open)
            for stream in step.close:
                made.closed(stream, now)
            for stream in step.open:
                made.opened(stream, now)
        messages.append(sent)
    assert max(messages) <= 6
    assert sum(messages) >= 30 * 5


def test_too_many_streams_of_ticks_or_depth_are_refused_before_the_broker_does() -> None:
    made = plan(98)
    assert made.want("me", [("A", Feed.TRADES), ("A", Feed.BIDS_AND_ASKS), ("B", Feed.TRADES)], WATCHED) == {}
    refused = made.want("me", [("C", Feed.TRADES), ("A", Feed.TRADES)], WATCHED)
    assert list(refused) == [("C", Feed.TRADES)]
    assert "3 streams of bids_and_asks and trades" in refused["C", Feed.TRADES]
    made.leave("me", [("B", Feed.TRADES)])
    assert made.want("me", [("C", Feed.TRADES)], WATCHED) == {}
    assert made.want("me", [(symbol, Feed.DEPTH) for symbol in "ABCD"], WATCHED).keys() == {("D", Feed.DEPTH)}
    assert made.want("me", [(symbol, Feed.FIVE_SECOND_BARS) for symbol in "ABCDEF"], WATCHED) == {}


def test_a_refused_stream_rests_longer_each_time_until_the_next_connection() -> None:
    made = plan(3)
    (stream,) = quotes("W", 1)
    made.want("me", [stream], WATCHED)
    begun: list[float] = []
    for now in range(200):
        for opened in made.step(now, lambda _: True).open:
            begun.append(now)
            made.refused(opened, now)
    assert begun == [0, FIRST_REST_SECONDS, 3 * FIRST_REST_SECONDS, 7 * FIRST_REST_SECONDS]
    assert made.settled
    made.retry()
    assert not made.settled
    assert made.step(201, lambda _: True).open == [stream]


def test_two_owners_and_the_higher_priority_counts() -> None:
    made = plan(2)
    made.want("scanner", quotes("S", 5), SCANNED)
    made.want("risk", [("S4", Feed.QUOTES)], HELD)
    broker = Broker(made)
    broker.run(10)
    assert ("S4", Feed.QUOTES) in broker.lines
    assert made.lines["S4", Feed.QUOTES].priority is HELD
    assert not made.rotates(("S4", Feed.QUOTES))
    made.leave("risk", made.wanted_by("risk"))
    assert made.rotates(("S4", Feed.QUOTES))
    made.leave("scanner", quotes("S", 5))
    broker.run(1)
    assert not broker.lines
    assert made.wanted == 0


def test_settled_once_all_that_does_not_rotate_was_asked_for() -> None:
    made = plan(4)
    made.want("me", quotes("W", 2), WATCHED)
    made.want("me", quotes("S", 9), SCANNED)
    assert not made.settled
    step = made.step(0, lambda _: False)
    assert not made.settled
    for stream in step.open:
        if stream[0].startswith("W"):
            made.opened(stream, 0)
    assert made.settled
    assert {line.phase for line in made.lines.values()} == {Phase.OPEN, Phase.OPENING}
