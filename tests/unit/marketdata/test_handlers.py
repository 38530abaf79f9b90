"""What a run and a new session ask for, and what becomes of the answers."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from services.marketdata.handlers import MarketData
from shared.calendar import session_hours, sessions
from shared.clock import MessageClock
from shared.messages.base import Envelope, follow, originate
from shared.messages.broker import BrokerTime, SessionChanged
from shared.messages.job import Job, JobFinished, JobOutcome, RunJob
from shared.messages.market import Bar
from shared.messages.market_requests import FetchHistory, HistoryFetched, HistoryKind, Subscribe
from shared.types import SessionState, Timeframe

DAYS = sessions(date(2012, 5, 1), date(2012, 6, 1))
NOW = datetime(2012, 6, 1, 20, 5, tzinfo=UTC)
SYMBOLS = ("AAPL", "IBM", "MSFT")


def bar(symbol: str, day: date) -> Bar:
    hours = session_hours(day)
    assert hours is not None
    price = Decimal(10)
    return Bar(
        symbol=symbol,
        timeframe=Timeframe.DAY,
        start=hours[0],
        end=hours[1],
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(1),
    )


def market_data(days: list[date], **others: list[date]) -> MarketData:
    """A store that holds the bars of these days for every symbol but those in `others`."""
    clock = MessageClock()
    clock.observe(NOW)
    held = dict.fromkeys(SYMBOLS, days) | others
    return MarketData(SYMBOLS, 20, clock, ends={name: {bar(name, day).end for day in held[name]} for name in held})


def run_job(job: Job = Job.FETCH_BARS) -> Envelope[Any]:
    return originate(RunJob(job=job, scheduled_for=NOW), source="scheduler", time=NOW, subject=job, key="x")


def event(message: Any) -> Envelope[Any]:
    return originate(message, source="gateway", time=NOW, subject="session", key="x")


def answer(request: Envelope[FetchHistory], days: list[date], error: str | None = None) -> Envelope[Any]:
    data = request.data
    bars = tuple(bar(data.symbol, day) for day in days[-data.count :])
    fetched = HistoryFetched(symbol=data.symbol, timeframe=data.timeframe, bars=bars, error=error)
    return follow(request, fetched, source="gateway", time=NOW, subject=data.symbol)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_run_asks_for_every_symbol_and_ends_when_each_has_an_answer(order: tuple[int, ...]):
    service, run = market_data(DAYS[:-1]), run_job()
    requests = service.on_job(run).messages
    assert [(request.data.symbol, request.data.count) for request in requests] == [(symbol, 5) for symbol in SYMBOLS]
    found: list[Envelope[Any]] = []
    for request in (requests[place] for place in order):
        assert not [message for message in found if isinstance(message.data, JobFinished)]
        effects = service.on_broker_event(answer(request, DAYS))
        assert [row.values["message_id"] for row in effects.rows] == [effects.messages[0].id]
        found += effects.messages
    *bars, finished = found
    assert [item.data.key for item in bars] == [bar(SYMBOLS[place], DAYS[-1]).key for place in order]
    assert (finished.data.run_id, finished.data.outcome) == (run.id, JobOutcome.SUCCEEDED)


def test_what_a_person_asked_for_is_not_stored():
    service = market_data(DAYS[:-1])
    question = FetchHistory(symbol="AAPL", timeframe=Timeframe.DAY, count=5, kind=HistoryKind.MIDPOINT)
    asked = originate(question, source="cli", time=NOW, subject="AAPL", key="x")
    effects = service.on_broker_event(answer(asked, DAYS))
    assert (list(effects.rows), list(effects.messages)) == ([], [])


def test_an_answer_that_comes_twice_counts_once():
    service = market_data(DAYS[:-1])
    first, *_ = service.on_job(run_job()).messages
    for _ in SYMBOLS:
        assert not [
            message
            for message in service.on_broker_event(answer(first, DAYS)).messages
            if isinstance(message.data, JobFinished)
        ]


def test_a_restart_asks_again_for_what_is_not_stored_and_takes_either_answer():
    run = run_job()
    requests = market_data(DAYS[:-1]).on_job(run).messages
    assert [m.id for m in market_data(DAYS).on_job(run).messages] == [m.id for m in requests]
    service = market_data(DAYS[:-1], AAPL=DAYS)  # AAPL's answer was stored before the restart
    again = service.resume([run], "other").messages
    assert [request.data.symbol for request in again] == ["IBM", "MSFT"]
    assert not {request.id for request in again} & {request.id for request in requests}
    [late] = service.on_broker_event(answer(requests[2], DAYS)).messages  # asked for by the process before
    [other, end] = service.on_broker_event(answer(again[0], DAYS)).messages
    assert (late.data.symbol, other.data.symbol) == ("MSFT", "IBM")
    assert (end.data.run_id, end.data.outcome) == (run.id, JobOutcome.SUCCEEDED)


def test_a_run_whose_bars_are_all_stored_ends_at_the_restart_with_the_one_id_it_has():
    service, run = market_data(DAYS[:-1]), run_job()
    for request in service.on_job(run).messages:
        *_, end = service.on_broker_event(answer(request, DAYS)).messages
    [other_end] = market_data(DAYS).resume([run], "other").messages
    assert isinstance(other_end.data, JobFinished)
    assert end.id == other_end.id


def test_after_days_of_silence_a_run_asks_for_all_of_them():
    requests = market_data(DAYS[:-8]).on_job(run_job()).messages
    assert [request.data.count for request in requests] == [8, 8, 8]


def test_a_bar_has_one_id_for_ever_and_is_published_once():
    service, run = market_data(DAYS[:-1]), run_job()
    [first, *_] = service.on_job(run).messages
    [one] = service.on_broker_event(answer(first, DAYS)).messages
    [other] = market_data(DAYS[:-1]).on_broker_event(answer(first, DAYS)).messages
    assert (one.id, one.time, one.encode()) == (other.id, other.time, other.encode())
    effects = service.on_broker_event(answer(first, DAYS))
    assert not effects.rows
    assert not [message for message in effects.messages if isinstance(message.data, Bar)]


def test_a_run_that_leaves_a_symbol_behind_has_failed_and_says_which():
    service = market_data(DAYS[:-1])
    found: list[Envelope[Any]] = []
    for request in service.on_job(run_job()).messages:
        refused = request.data.symbol == "IBM"
        days, error = (list[date](), "pacing violation") if refused else (DAYS, None)
        found += service.on_broker_event(answer(request, days, error)).messages
    assert isinstance(found[-1].data, JobFinished)
    assert (found[-1].data.outcome, found[-1].data.detail) == (JobOutcome.FAILED, "no bar of 2012-06-01 for IBM")


def test_a_ready_session_gets_the_subscription_and_requests_for_what_is_short():
    ready = event(SessionChanged(state=SessionState.READY, reason="", account="DU1", since=NOW))
    subscribe, *requests = market_data(DAYS[-3:]).on_broker_event(ready).messages
    assert subscribe.data == Subscribe(symbols=SYMBOLS)
    assert [(request.data.symbol, request.data.count) for request in requests] == [(symbol, 20) for symbol in SYMBOLS]
    [subscribe] = market_data(DAYS[-21:]).on_broker_event(ready).messages
    assert isinstance(subscribe.data, Subscribe)


def test_a_back_fill_publishes_its_bars_and_ends_no_run():
    service = market_data([])
    ready = event(SessionChanged(state=SessionState.READY, reason="", account="DU1", since=NOW))
    request = service.on_broker_event(ready).messages[1]
    messages = service.on_broker_event(answer(request, DAYS)).messages
    assert [message.data.end for message in messages] == [bar("AAPL", day).end for day in DAYS[-20:]]


def test_other_events_and_jobs_are_nobodys_business():
    service = market_data(DAYS)
    assert not service.on_job(run_job(Job.SCAN)).messages
    assert not service.on_broker_event(event(BrokerTime(now=NOW))).messages
    down = event(SessionChanged(state=SessionState.DISCONNECTED, reason="", account=None, since=NOW))
    assert not service.on_broker_event(down).messages
