"""Questions about the market: from a command to its answer, under the broker's limits and through its faults."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.gateway.app import Gateway
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.core.catalogue import stock
from services.simulator.faults import Script, load
from shared.calendar import session_hours
from shared.instruments import option
from shared.messages.base import Envelope, Message
from shared.messages.broker import BrokerErrorReported
from shared.messages.market_requests import (
    ContractFetched,
    FetchContract,
    FetchHistory,
    FetchNews,
    FetchOptionChain,
    HistoryFetched,
    HistoryKind,
    HistoryOutcome,
    MarketScanned,
    NewsFetched,
    OptionChainFetched,
    ScanMarket,
    Subscribe,
)
from shared.types import Right, SecurityType, Timeframe
from tests.integration.gateway.desk import SYMBOLS, Desk, until

NOON = datetime.fromisoformat("2026-11-30T12:00:00-05:00")  # the Monday after the half-day of Thanksgiving
HALF_DAY = session_hours(date(2026, 11, 27))
RECONNECTS = "millrace_gateway_reconnects_total"
WAITING = "millrace_gateway_messages_waiting", {"urgency": "data"}


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A market with an instrument of each kind, at noon."""
    settings = Settings(
        port=0,
        market="synthetic",
        symbols=SYMBOLS,
        indices=("SPX",),
        futures=("ES",),
        currencies=("EUR.USD",),
        start=date(2026, 11, 30),
        end=date(2026, 12, 4),
        fault_seconds=0.05,
    )
    made = Simulator(settings, tmp_path / "simulator")
    async with made.serving():
        made.broker.advance(NOON)
        yield made


def fault(desk: Desk, when: dict[str, Any], *effects: dict[str, Any]) -> None:
    desk.simulator.faults.add(Script.model_validate({"rule": [{"when": when, "do": effects}]}))


def spent(desk: Desk) -> bool:
    """Whether every fault has struck."""
    return all(rule["spent"] for rule in desk.simulator.faults.rules())


def daily(symbol: str = "AAPL", count: int = 3) -> FetchHistory:
    return FetchHistory(symbol=symbol, timeframe=Timeframe.DAY, count=count)


def seconds(end: datetime | None = None, symbol: str = "AAPL", **fields: Any) -> FetchHistory:
    return FetchHistory(symbol=symbol, timeframe=Timeframe.THIRTY_SECONDS, count=10, end=end, **fields)


async def answers(desk: Desk, questions: Sequence[Envelope[Any]]) -> list[Any]:
    """What each question was answered with, in their order; each has one answer."""
    wanted = {question.id for question in questions}
    found: dict[Any, Message] = {}

    async def complete() -> bool:
        found.update({event.causationid: event.data for event in await desk.events() if event.causationid in wanted})
        return len(found) == len(wanted)

    await until(complete)
    assert len([event for event in await desk.events() if event.causationid in wanted]) == len(wanted)
    return [found[question.id] for question in questions]


async def ask(desk: Desk, *questions: Message) -> list[Any]:
    return await answers(desk, [await desk.command(question) for question in questions])


async def reported(desk: Desk) -> list[int]:
    """Codes of the errors that the broker gave us, but for its notices about farms."""
    codes = [event.data.code for event in await desk.events(BrokerErrorReported)]
    return [code for code in codes if not 2100 <= code < 2200]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"millrace_gateway_history_{name}", labels) or 0


# What is listed


async def test_contracts_of_every_kind_with_their_hours_and_price_steps(desk: Desk) -> None:
    async with desk.gateway():
        (chain,) = await ask(desk, FetchOptionChain(symbol="AAPL"))
        assert isinstance(chain, OptionChainFetched)
        assert chain.chain is not None
        strikes = chain.chain.strikes
        call = option("AAPL", chain.chain.expiries[0], Right.CALL, strikes[len(strikes) // 2]).name
        names = ("AAPL", call, "^SPX", "/ESZ6", "EUR.USD")
        found = {told.symbol: told.facts for told in await ask(desk, *(FetchContract(symbol=name) for name in names))}
        assert [(facts.security_type, facts.exchange, facts.multiplier) for facts in found.values()] == [
            (SecurityType.STOCK, "SMART", 1),
            (SecurityType.OPTION, "SMART", 100),
            (SecurityType.INDEX, "CBOE", 1),
            (SecurityType.FUTURE, "CME", 50),
            (SecurityType.CURRENCY, "IDEALPRO", 1),
        ]
        steps = [(step.from_price, step.increment) for step in found[call].increments]
        assert steps == [(0, Decimal("0.01")), (3, Decimal("0.05"))], "a step of its own from 3 USD on"
        assert found["AAPL"].liquid_hours[0] == session_hours(date(2026, 11, 30))
        sunday = datetime.fromisoformat("2026-11-29T17:00:00-06:00")
        assert found["/ESZ6"].trading_hours[0] == (sunday, sunday + timedelta(hours=23))
        assert found[call].underlying == "AAPL"


async def test_a_name_that_fits_nothing_is_refused_with_the_reason(desk: Desk) -> None:
    async with desk.gateway():
        unknown, malformed, chain = await ask(
            desk, FetchContract(symbol="NOPE"), FetchContract(symbol="aapl"), FetchOptionChain(symbol="EUR.USD")
        )
        assert unknown == ContractFetched(
            symbol="NOPE",
            facts=None,
            error="NOPE: the broker knows no contract of this name; check how it is written",
        )
        assert "'aapl' is no ticker" in malformed.error
        assert chain.error == "EUR.USD: no options on EUR.USD are listed at SMART"
        assert await reported(desk) == []


async def test_contracts_and_market_rules_are_asked_once_a_day_also_across_connections(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        (first,) = await ask(desk, FetchContract(symbol="AAPL"))
        for request in ("reqContractDetails", "reqMarketRule"):
            fault(desk, {"receives": request, "times": 0}, {"effect": "drop"})
        desk.drop_clients()
        await until(lambda: not gateway.session.linked.is_set())
        assert await ask(desk, FetchContract(symbol="AAPL")) == [first]
        desk.simulator.faults.clear()
        desk.advance(NOON + timedelta(days=1))
        await gateway.session.beat()
        (tomorrow,) = await ask(desk, FetchContract(symbol="AAPL"))
        assert tomorrow.facts.liquid_hours[0] == session_hours(date(2026, 12, 1))


async def test_the_scanner_runs_once_and_its_subscription_ends(desk: Desk) -> None:
    async with desk.gateway():
        scans = [ScanMarket(scan_code="MOST_ACTIVE", above_price=Decimal(1)) for _ in range(12)]
        found = await ask(desk, *scans)  # IBKR allows ten at once
        assert {frozenset(told.symbols) for told in found} == {frozenset(SYMBOLS)}
        none, wrong = await ask(
            desk, ScanMarket(scan_code="MOST_ACTIVE", filters={"priceAbove": "1e9"}), ScanMarket(scan_code="NO_SUCH")
        )
        assert none == MarketScanned(scan_code="MOST_ACTIVE", symbols=())
        assert "Scanner type with code 'NO_SUCH' is disabled" in wrong.error
        assert await reported(desk) == []
        assert not any(session.data.scanners for session in desk.simulator.broker.sessions.values())


async def test_headlines_come_newest_first(desk: Desk) -> None:
    async with desk.gateway():
        (told,) = await ask(desk, FetchNews(symbol="AAPL", count=2))
        assert isinstance(told, NewsFetched)
        assert [headline.time for headline in told.headlines] == sorted(
            (headline.time for headline in told.headlines), reverse=True
        )
        assert len(told.headlines) == 2
        assert told.headlines[0].time == HALF_DAY[1] if HALF_DAY else None


# History


async def test_history_of_every_length_kind_and_end(desk: Desk) -> None:
    questions = [
        daily(),
        FetchHistory(symbol="AAPL", timeframe=Timeframe.HOUR, count=4, end=datetime(2026, 11, 28, tzinfo=UTC)),
        FetchHistory(symbol="AAPL", timeframe=Timeframe.DAY, count=2, kind=HistoryKind.ADJUSTED_LAST,
                     end=datetime(2026, 11, 26, tzinfo=UTC)),
        FetchHistory(symbol="EUR.USD", timeframe=Timeframe.MINUTE, count=5, kind=HistoryKind.MIDPOINT),
        FetchHistory(symbol="/ESZ6", timeframe=Timeframe.DAY, count=1),
        FetchHistory(symbol="^SPX", timeframe=Timeframe.DAY, count=1, kind=HistoryKind.HISTORICAL_VOLATILITY),
    ]  # fmt: skip
    async with desk.gateway():
        told = await ask(desk, *questions)
        assert {each.outcome for each in told} == {HistoryOutcome.BARS}
        assert [len(each.bars) for each in told] == [question.count for question in questions]
        days, hours, adjusted, minutes, future, _ = told
        assert HALF_DAY is not None
        assert (days.bars[-1].start, days.bars[-1].end) == HALF_DAY, "today's bar is not closed"
        assert [(bar.start.hour, bar.start.minute, bar.end.hour) for bar in hours.bars] == [
            (14, 30, 15), (15, 0, 16), (16, 0, 17), (17, 0, 18)
        ]  # fmt: skip
        assert adjusted.bars[-1].end == datetime(2026, 11, 25, 21, tzinfo=UTC)
        assert minutes.bars[-1].end == NOON
        assert future.bars[-1].end == datetime(2026, 11, 27, 22, tzinfo=UTC)


async def test_daily_bars_are_the_markets_own_also_over_a_year(desk: Desk) -> None:
    async with desk.gateway():
        (told,) = await ask(desk, daily("IBM", count=260))
        market = desk.simulator.engine.market
        days = [session for session in market.all_sessions if session.close <= NOON][-260:]
        assert [(bar.start, bar.end) for bar in told.bars] == [(day.open, day.close) for day in days]
        for bar, day in list(zip(told.bars, days, strict=True))[::50]:
            expected = market.daily_bar(stock("IBM").contract_id, day.day)
            assert expected is not None
            assert (bar.open * 100, bar.close * 100, bar.volume) == (expected.open, expected.close, expected.volume)


async def test_answers_come_with_the_time_of_their_question(desk: Desk) -> None:
    """A bar that closes between two questions is in the answer to the second, however soon it follows the first."""
    async with desk.gateway() as gateway:
        (before,) = await ask(desk, daily())
        desk.advance(datetime.fromisoformat("2026-11-30T16:00:00-05:00"))
        await gateway.session.beat()
        (after,) = await ask(desk, daily())
        assert before.bars[1:] == after.bars[:-1]
        assert after.bars[-1].end == desk.simulator.engine.now


async def test_the_same_question_is_asked_once(desk: Desk) -> None:
    fault(desk, {"receives": "reqHistoricalData", "nth": 2, "times": 0}, {"effect": "drop"})
    shared = metric("shared_total")
    async with desk.gateway(history_timeout_seconds=0.2):
        told = await ask(desk, *(seconds() for _ in range(20)))
        told += await ask(desk, seconds())
        assert {(each.outcome, each.bars) for each in told} == {(HistoryOutcome.BARS, told[0].bars)}
        assert metric("shared_total") == shared + 20


async def test_two_hundred_questions_at_once_break_no_limit(desk: Desk) -> None:
    """Neither that on messages, at its real height, nor those on history."""
    ends = [NOON - timedelta(days=day) for day in range(1, 41)]
    lengths = (Timeframe.MINUTE, Timeframe.FIVE_MINUTES, Timeframe.HOUR, Timeframe.DAY, Timeframe.FIFTEEN_MINUTES)
    questions = [
        FetchHistory(symbol=SYMBOLS[number % 2], timeframe=timeframe, count=20, end=end)
        for number, end in enumerate(ends)
        for timeframe in lengths
    ]
    async with desk.gateway(requests_per_second=45, heartbeat_seconds=1):
        told = await ask(desk, *questions)
        assert [each.outcome for each in told] == [HistoryOutcome.BARS] * 200
        assert await reported(desk) == []
        assert metric("open") == metric("waiting") == metric("oldest_seconds") == 0


async def test_small_bars_keep_to_the_window_of_their_contract(desk: Desk) -> None:
    """Five in two seconds, BID_ASK twice; the simulator answers the sixth with 162 and gets none."""
    ends = [NOON - timedelta(hours=hour) for hour in range(7)]
    questions = [seconds(end) for end in ends] + [seconds(end, kind=HistoryKind.BID_ASK) for end in ends[:3]]
    async with desk.gateway(requests_per_second=45, heartbeat_seconds=1):
        told = await ask(desk, *questions)
        assert [each.outcome for each in told] == [HistoryOutcome.BARS] * 10
        assert metric("budget_used") == pytest.approx(13 / 60)
        assert await reported(desk) == []


# Faults


VIOLATION = {"effect": "error", "code": 162, "text": "Historical data request pacing violation"}


async def test_a_pacing_violation_is_tried_again(desk: Desk) -> None:
    fault(desk, {"receives": "reqHistoricalData", "times": 2}, {"effect": "drop"}, VIOLATION)
    async with desk.gateway(history_retry_seconds=0.05, history_tries=3):
        (told,) = await ask(desk, daily())
        assert told.outcome is HistoryOutcome.BARS
        assert spent(desk)


async def test_a_pacing_violation_that_goes_on_is_the_outcome(desk: Desk) -> None:
    desk.simulator.faults.add(load("history-pacing"))
    paced = metric("total", outcome="paced")
    async with desk.gateway(history_retry_seconds=0.05, history_tries=3):
        first, other = await ask(desk, daily(), daily("IBM"))
        assert {first.outcome, other.outcome} == {HistoryOutcome.BARS, HistoryOutcome.PACED}, "all but one are refused"
        reason = "162 Historical Market Data Service error message:Historical data request pacing violation"
        assert {first.error, other.error} & {f"AAPL: {reason}", f"IBM: {reason}"}
        assert metric("total", outcome="paced") == paced + 1


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason"),
    [
        ("empty-history", HistoryOutcome.NO_DATA, "AAPL: the broker has no closed 1 day bars"),
        ("history-farm-down", HistoryOutcome.REFUSED, "AAPL: 162 Historical Market Data Service error message"),
    ],
)
async def test_each_outcome_has_its_reason(desk: Desk, scenario: str, outcome: HistoryOutcome, reason: str) -> None:
    async with desk.gateway():
        desk.simulator.faults.add(load(scenario))
        (told,) = await ask(desk, daily())
        assert (told.outcome, told.bars) == (outcome, ())
        assert told.error.startswith(reason)


async def test_no_data_and_refusals_of_the_broker_itself(desk: Desk) -> None:
    async with desk.gateway():
        pairs_do_not_trade, no_contract, unknown_kind = await ask(
            desk,
            FetchHistory(symbol="EUR.USD", timeframe=Timeframe.DAY, count=1),
            daily("NOPE"),
            FetchHistory(symbol="EUR.USD", timeframe=Timeframe.DAY, count=1, kind=HistoryKind.ADJUSTED_LAST),
        )
        assert (pairs_do_not_trade.outcome, no_contract.outcome) == (HistoryOutcome.NO_DATA, HistoryOutcome.REFUSED)
        assert unknown_kind.outcome is HistoryOutcome.NO_DATA
        assert "no contract of this name" in no_contract.error


async def test_every_refusal_is_an_outcome_with_the_brokers_reason(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        for code in (200, 321, 354, 366, 10187):
            told_by_broker = {"effect": "error", "code": code, "text": "for this reason"}
            fault(desk, {"receives": "reqHistoricalData"}, {"effect": "drop"}, told_by_broker)
            (told,) = await ask(desk, daily())
            assert (told.outcome, told.error) == (HistoryOutcome.REFUSED, f"AAPL: {code} for this reason")
        assert gateway.session.ready.is_set()
        assert await reported(desk) == [], "the question has the answer; nobody else needs it"


async def test_silence_ends_with_a_cancel_and_the_session_goes_on(desk: Desk) -> None:
    fault(desk, {"receives": "reqHistoricalData"}, {"effect": "drop"})
    fault(desk, {"receives": "cancelHistoricalData"}, {"effect": "delay", "seconds": 0})
    async with desk.gateway(history_timeout_seconds=0.2) as gateway:
        (told,) = await ask(desk, daily())
        assert told.outcome is HistoryOutcome.TIMED_OUT
        assert gateway.session.ready.is_set()
        (again,) = await ask(desk, daily())
        assert again.outcome is HistoryOutcome.BARS
        await gateway.session.beat()
        assert spent(desk), "it was cancelled"
        assert await reported(desk) == [], "which has an answer that is for nobody"


async def test_a_contract_without_an_answer_times_out_and_the_session_goes_on(desk: Desk) -> None:
    fault(desk, {"receives": "reqContractDetails", "symbol": "SPX"}, {"effect": "drop"})
    async with desk.gateway(answer_timeout_seconds=0.5) as gateway:
        (told,) = await ask(desk, FetchContract(symbol="^SPX"))
        assert told.facts is None
        assert "no answer" in told.error
        assert gateway.session.ready.is_set()
        (again,) = await ask(desk, FetchContract(symbol="^SPX"))
        assert again.facts is not None


async def test_questions_under_way_are_asked_again_on_the_next_connection(desk: Desk) -> None:
    for request in ("reqHistoricalData", "reqScannerSubscription", "reqHistoricalNews"):
        fault(desk, {"receives": request}, {"effect": "drop"})
    async with desk.gateway(reconnect_backoff_seconds=0.1):
        sent = [await desk.command(each) for each in (daily(), ScanMarket(scan_code="MOST_ACTIVE"), news())]
        await until(lambda: spent(desk))
        desk.drop_clients()
        history, scan, headlines = await answers(desk, sent)
        assert history.outcome is HistoryOutcome.BARS
        assert (scan.error, headlines.error) == (None, None)


def news() -> FetchNews:
    return FetchNews(symbol="AAPL", count=1)


async def test_a_question_that_waits_holds_up_nothing_and_survives_the_process(desk: Desk) -> None:
    fault(desk, {"receives": "reqHistoricalData"}, {"effect": "drop"})
    async with desk.gateway():
        slow = await desk.command(daily())
        (quick,) = await ask(desk, daily("IBM"))
        assert quick.outcome is HistoryOutcome.BARS
        await desk.command(Subscribe(symbols=("/ESZ6",)))

        async def streamed() -> bool:
            return "/ESZ6" in await desk.quotes()

        await until(streamed)
        assert not [event for event in await desk.events(HistoryFetched) if event.causationid == slow.id]
    async with desk.gateway():
        (told,) = await answers(desk, [slow])
        assert told.outcome is HistoryOutcome.BARS


async def test_questions_about_one_symbol_are_answered_in_their_order(desk: Desk) -> None:
    """Whoever stores bars gets the older ones first, however long their answer took."""
    fault(desk, {"receives": "reqHistoricalData"}, {"effect": "delay", "seconds": 4})
    async with desk.gateway() as gateway:
        many, few = await desk.command(daily(count=50)), await desk.command(daily(count=2))
        await answers(desk, [many, few])
        told = [event.causationid for event in await desk.events(HistoryFetched)]
        assert told == [many.id, few.id]
        assert isinstance(gateway, Gateway)


async def test_what_waited_for_the_budget_over_a_lost_connection_spares_the_next_one(desk: Desk) -> None:
    """A request that finds its connection gone when its turn comes is asked on the new one, and does not end it."""
    async with desk.gateway(requests_per_second=20):
        for strike in range(1, 41):
            await desk.command(
                FetchContract(symbol=option("AAPL", date(2026, 12, 18), Right.CALL, Decimal(strike)).name)
            )
        await until(lambda: (REGISTRY.get_sample_value(*WAITING) or 0) > 10)
        before = REGISTRY.get_sample_value(RECONNECTS) or 0
        desk.drop_clients()

        async def all_answered() -> bool:
            return len(await desk.events(ContractFetched)) == 40

        await until(all_answered)
        assert (REGISTRY.get_sample_value(RECONNECTS) or 0) - before == 1
