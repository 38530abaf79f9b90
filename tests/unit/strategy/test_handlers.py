"""Bars, scans and jobs in; intents out, the same ones however often and from whatever start."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.strategy.core.confluence import Confluence, Missing, Source
from services.strategy.core.host import Instance, Windows, bar_envelope
from services.strategy.core.strategy import Bars, Signals
from services.strategy.handlers import Handlers
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.clock import MessageClock
from shared.messages.base import Envelope, originate
from shared.messages.job import Job, JobOutcome, RunJob
from shared.messages.market import Bar
from shared.messages.scan import Candidate, ShardScanned
from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import Component, Purpose
from shared.types import Timeframe
from tests.unit.strategy.samples import CROSSING_DOWN, CROSSING_UP, DAYS, make_bars

CROSSOVER = MovingAverageCrossover(fast=2, slow=4)
BARS = make_bars(CROSSING_UP)
# 09:35 in New York of the session after the last bar
DUE = datetime.combine(DAYS[len(BARS)], datetime.min.time(), BARS[0].end.tzinfo) + timedelta(hours=14, minutes=35)


class Broken(MovingAverageCrossover):
    def generate_signals(self, bars: Bars) -> Signals:
        raise ZeroDivisionError(len(bars))


def instance(strategy: MovingAverageCrossover = CROSSOVER, **changes: Any) -> Instance:
    values = {"name": "mine", "timeframe": Timeframe.DAY, "symbols": ("IBM",), "lifetime": timedelta(minutes=5)}
    return Instance(strategy=strategy, **(values | changes))


def handlers(
    *instances: Instance,
    bars: list[Bar] = BARS,
    only_scanned: bool = False,
    confluence: Confluence = Confluence(),  # noqa: B008 - frozen
    disabled: dict[str, str] | None = None,
) -> Handlers:
    windows = Windows(50)
    for bar in bars:
        windows.add(bar)
    return Handlers(
        instances or (instance(),),
        windows,
        MessageClock(),
        only_scanned=only_scanned,
        confluence=confluence,
        disabled=disabled or {},
    )


def run_job(job: Job = Job.EVALUATE_STRATEGIES) -> Envelope[RunJob]:
    return originate(RunJob(job=job, scheduled_for=DUE), source="scheduler", time=DUE, subject=job, key=DUE.isoformat())


def scan(kept: bool, *, time: datetime = DUE, symbol: str = "IBM") -> Envelope[ShardScanned]:
    candidate = Candidate(symbol=symbol, kept=kept, reason="", close=None, dollar_volume=None, momentum=None)
    answer = ShardScanned(shard_id=BAR_ID, candidates=(candidate,))
    return originate(answer, source="scanner", time=time, subject="shard", key=f"{time}{kept}")


def reading(score: float, *, at: datetime = DUE - timedelta(hours=1)) -> Envelope[SentimentReading]:
    said = SentimentReading(symbol="IBM", component=Component.SENTIMENT, score=score, source="test", observed_at=at)
    return originate(said, source="sentiment", time=at, subject="IBM", key=f"{at}{score}")


BAR_ID = bar_envelope(BARS[-1]).id


async def test_an_intent_follows_from_its_bar_and_names_its_run():
    run = run_job()
    intent, finished = await handlers().on_job(run)
    assert (intent.causationid, intent.correlationid, intent.subject) == (BAR_ID, BAR_ID, "IBM")
    assert (intent.data.purpose, intent.data.job_run_id) == (Purpose.ENTER, run.id)
    assert intent.data.expires_at == DUE + timedelta(minutes=5)
    assert (finished.data.run_id, finished.data.outcome, finished.data.detail) == (
        run.id,
        JobOutcome.SUCCEEDED,
        "1 intents",
    )


async def test_the_same_evaluation_says_the_same_with_the_same_ids_even_when_newer_bars_are_known():
    newer = make_bars([*CROSSING_UP, 30, 31])
    before, after = handlers(), handlers(bars=newer)
    assert [m.id for m in await before.on_job(run_job())] == [m.id for m in await after.on_job(run_job())]


async def test_two_instances_on_one_bar_have_different_ids():
    intents = (await handlers(instance(name="one"), instance(name="two")).on_job(run_job()))[:-1]
    assert len({intent.id for intent in intents}) == 2


async def test_no_intent_on_an_old_bar():
    [finished] = await handlers(bars=BARS[:-1]).on_job(run_job())
    assert finished.data.outcome is JobOutcome.FAILED
    assert finished.data.detail == f"0 intents; no bar of {BARS[-1].end:%Y-%m-%d} for IBM"


async def test_a_failing_strategy_is_counted_and_the_others_go_on():
    intent, finished = await handlers(instance(Broken(fast=2, slow=4), name="broken"), instance()).on_job(run_job())
    assert intent.data.strategy == "mine"
    assert (finished.data.outcome, finished.data.detail) == (JobOutcome.FAILED, "1 intents; broken failed on IBM")
    assert REGISTRY.get_sample_value("millrace_strategy_failures_total", {"strategy": "broken"}) == 1


async def test_only_what_the_newest_scan_kept_is_entered():
    service = handlers(only_scanned=True)
    assert len(await service.on_job(run_job())) == 1
    await service.on_scan(scan(kept=True))
    assert len(await service.on_job(run_job())) == 2
    await service.on_scan(scan(kept=False, time=DUE - timedelta(days=1)))
    assert len(await service.on_job(run_job())) == 2, "an older scan that comes late must not win"
    await service.on_scan(scan(kept=False))
    assert len(await service.on_job(run_job())) == 1


async def test_an_instance_that_could_not_start_is_reported_at_every_run():
    intent, finished = await handlers(disabled={"mine too": "mine.py looks ahead"}).on_job(run_job())
    assert intent.data.strategy == "mine"
    assert finished.data.outcome is JobOutcome.FAILED
    assert finished.data.detail == "1 intents; mine too is disabled: mine.py looks ahead"


async def test_the_newest_reading_before_the_run_moves_the_score():
    service = handlers()
    [alone, _] = await service.on_job(run_job())
    for said in (reading(0.9), reading(0.1, at=DUE - timedelta(hours=2)), reading(0.2, at=DUE + timedelta(seconds=1))):
        assert list(await service.on_reading(said)) == []
    [intent, _] = await service.on_job(run_job())
    assert intent.id == alone.id
    [technical, sentiment, _] = intent.data.evidence
    assert (technical.weight, sentiment.weight) == pytest.approx((0.625, 0.375))
    assert (sentiment.value, sentiment.age_seconds) == (0.9, 3600)
    assert intent.data.score == pytest.approx(0.625 * alone.data.score + 0.375 * 0.9)


async def test_an_entry_that_is_blocked_is_counted_with_the_reason_and_is_no_failure():
    def blocked(code: str) -> float:
        return REGISTRY.get_sample_value("millrace_entries_blocked_total", {"strategy": "picky", "code": code}) or 0

    needs = Confluence(sentiment=Source(weight=0.3, missing=Missing.BLOCK))
    picky = instance(name="picky", minimum_score=0.99)
    for service, code in (
        (handlers(picky), "score_below_minimum"),
        (handlers(picky, confluence=needs), "component_missing"),
    ):
        before = blocked(code)
        [finished] = await service.on_job(run_job())
        assert (finished.data.outcome, finished.data.detail) == (JobOutcome.SUCCEEDED, "0 intents")
        assert blocked(code) == before + 1


async def test_an_exit_needs_no_scan():
    intent, _ = await handlers(bars=make_bars(CROSSING_DOWN), only_scanned=True).on_job(run_job())
    assert intent.data.purpose is Purpose.EXIT


async def test_other_jobs_are_left_to_others():
    assert list(await handlers().on_job(run_job(Job.FETCH_BARS))) == []


async def test_a_daily_bar_is_remembered_and_waits_for_its_job():
    service = handlers(bars=BARS[:-1])
    assert list(await service.on_bar(bar_envelope(BARS[-1]))) == []
    assert len(await service.on_job(run_job())) == 2


async def test_a_minute_bar_is_acted_on_at_once():
    minutes = [
        bar.model_copy(
            update={
                "timeframe": Timeframe.MINUTE,
                "start": DUE + timedelta(minutes=i),
                "end": DUE + timedelta(minutes=i + 1),
            }
        )
        for i, bar in enumerate(BARS)
    ]
    service = handlers(instance(timeframe=Timeframe.MINUTE), bars=minutes[:-1])
    assert list(await service.on_bar(bar_envelope(minutes[-1].model_copy(update={"symbol": "AAPL"})))) == []
    [intent] = await service.on_bar(bar_envelope(minutes[-1]))
    assert (intent.causationid, intent.data.job_run_id) == (bar_envelope(minutes[-1]).id, None)
    assert intent.data.expires_at == minutes[-1].end + timedelta(minutes=5)
    assert intent.data.stop_distance == (minutes[-1].close * Decimal("0.03")).quantize(Decimal("0.01"))
