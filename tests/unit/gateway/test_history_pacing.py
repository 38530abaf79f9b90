"""IBKR's limits on questions for history, held against the simulator's own counting of them."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.core.history_pacing import HistoryPacing, HistoryRules
from services.simulator.limits import HistoryPacing as BrokersCount
from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import Timeframe


def request(symbol: str = "AAPL", timeframe: Timeframe = Timeframe.FIVE_SECONDS, **fields: Any) -> FetchHistory:
    values: dict[str, Any] = {"count": 10} | fields
    return FetchHistory(symbol=symbol, timeframe=timeframe, **values)


def exact() -> HistoryPacing:
    return HistoryPacing(HistoryRules(margin=0))


def ask(pacing: HistoryPacing, wanted: FetchHistory, now: float) -> None:
    """Send, and hear the answer at once."""
    assert pacing.wait(wanted, now) == 0
    pacing.sent(wanted)
    pacing.answered(wanted, now)


def numbered(number: int, symbol: str = "AAPL", **fields: Any) -> FetchHistory:
    """Requests for one contract, none like another."""
    return request(symbol, end=f"2026-11-{1 + number % 28:02}T{number // 28:02}:00:00+00:00", **fields)


def test_an_identical_request_waits_15_seconds_whatever_number_of_bars_it_wants() -> None:
    pacing = exact()
    ask(pacing, request(count=10), 100)
    assert pacing.wait(request(count=20), 101) == 14
    assert pacing.wait(request(kind=HistoryKind.BID), 101) == 0
    assert pacing.wait(request(count=20), 115) == 0


def test_the_sixth_request_for_a_contract_waits_until_two_seconds_after_the_first() -> None:
    pacing = exact()
    for number in range(5):
        ask(pacing, numbered(number), 100 + number / 10)
    assert pacing.wait(numbered(5), 100.5) == pytest.approx(1.5)
    assert pacing.wait(numbered(5, "IBM"), 100.5) == 0
    ask(pacing, numbered(5), 102)


def test_bid_ask_counts_twice() -> None:
    pacing = exact()
    for number in range(2):
        ask(pacing, numbered(number, kind=HistoryKind.BID_ASK), 100)
    assert pacing.wait(numbered(2, kind=HistoryKind.BID_ASK), 100) == 2
    assert pacing.used(100) == pytest.approx(4 / 60)


def test_sixty_requests_in_ten_minutes() -> None:
    pacing = exact()
    for number in range(60):
        ask(pacing, request(f"S{number}"), 100 + number)
    assert pacing.wait(request("IBM"), 160) == 540
    assert pacing.used(160) == 1
    assert pacing.wait(request("IBM"), 700) == 0
    assert pacing.used(700) == pytest.approx(59 / 60)


def test_bars_of_a_minute_and_more_have_no_limit_but_what_is_open() -> None:
    pacing = HistoryPacing(HistoryRules(open_at_once=3))
    minute = request(timeframe=Timeframe.MINUTE)
    for _ in range(3):
        assert pacing.wait(minute, 100) == 0
        pacing.sent(minute)
    assert pacing.full
    assert pacing.wait(minute, 100) == inf
    pacing.answered(minute, 101)
    assert pacing.wait(minute, 101) == 0
    assert pacing.used(101) == 0


def test_a_request_counts_from_its_turn_until_a_period_after_its_answer() -> None:
    """It may reach the broker at any moment in between."""
    pacing = exact()
    wanted = [numbered(number) for number in range(5)]
    for one in wanted:
        assert pacing.wait(one, 100) == 0
        pacing.sent(one)
    assert pacing.wait(numbered(5), 1000) == inf
    for one in wanted:
        pacing.answered(one, 1000)
    assert pacing.wait(numbered(5), 1000) == 2


def test_after_a_pacing_violation_small_bars_wait_and_others_do_not() -> None:
    pacing = exact()
    pacing.refused(100, 15)
    assert pacing.wait(request(), 101) == 14
    assert pacing.wait(request(timeframe=Timeframe.DAY), 101) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["AAPL", "IBM"]),
            st.sampled_from([HistoryKind.TRADES, HistoryKind.BID_ASK]),
            st.integers(0, 8),
            st.floats(0, 3),
            st.floats(0, 5),
            st.floats(0, 1),
        ),
        min_size=1,
        max_size=90,
    )
)
@settings(max_examples=60, deadline=None)
def test_the_broker_never_counts_a_violation(
    questions: list[tuple[str, HistoryKind, int, float, float, float]],
) -> None:
    """Whatever is asked, however long it is on its way and until it is answered."""
    pacing = HistoryPacing()
    broker = BrokersCount()
    now, answers = 0.0, list[tuple[float, FetchHistory]]()

    def answer_until(moment: float) -> None:
        while answers and answers[0][0] <= moment:
            at, answered = answers.pop(0)
            pacing.answered(answered, at)

    arrivals: list[tuple[float, Callable[[float], bool]]] = []
    for symbol, kind, number, pause, delay, latency in questions:
        now += pause
        wanted = numbered(number, symbol, kind=kind)
        answer_until(now)
        while wait := pacing.wait(wanted, now):
            now = answers[0][0] if wait == inf else now + wait
            answer_until(now)
        pacing.sent(wanted)
        arrives = now + delay
        contract, identity = (symbol, kind), (symbol, kind, number)
        arrivals.append(
            (
                arrives,
                lambda at, c=contract, i=identity, k=kind: broker.violated(at, c, i, "5 secs", k.value),
            )
        )
        answers.append((arrives + latency, wanted))
        answers.sort(key=lambda pair: pair[0])
    for at, violated in sorted(arrivals, key=lambda pair: pair[0]):
        assert not violated(at)
