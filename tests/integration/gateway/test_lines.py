"""Market data lines of a whole gateway: kept through outages, labelled honestly, shared fairly below the limit."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.gateway.app import Gateway
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.core.catalogue import stock
from services.simulator.entitlement import Access
from services.simulator.faults.effects import FarmState, Link, MarketDataAccess
from services.simulator.faults.model import Script
from services.simulator.faults.scenarios import load
from shared.bus import ensure_groups
from shared.config import Common
from shared.messages.broker import BrokerErrorReported, ErrorEffect
from shared.messages.market import DepthBook, Greeks, GreeksSource, LiveBar, QuoteBatch, TickBatch
from shared.messages.market_requests import Feed, LinePriority, Subscribe, Unsubscribe
from shared.types import QuoteQuality
from tests.integration.gateway.desk import OPEN, SYMBOLS, Desk, until

MINUTE = timedelta(minutes=1)
OPTIONS = ("AAPL  100219C00210000", "AAPL  100219P00210000")


def lines_at(simulator: Simulator) -> dict[str, int]:
    """Symbol -> request id of every market data line at the broker."""
    return {
        line.instrument.local_symbol: request_id
        for session in simulator.broker.sessions.values()
        for request_id, line in session.data.quotes.items()
    }


async def quality(desk: Desk, symbol: str = "AAPL") -> QuoteQuality | None:
    quote = (await desk.quotes()).get(symbol)
    return quote.quality if quote else None


async def stale(desk: Desk) -> bool:
    return await quality(desk) is QuoteQuality.STALE


async def live_later(desk: Desk) -> bool:
    """Whether the quote is live, as time goes on."""
    desk.advance(desk.simulator.engine.now + MINUTE)
    return await quality(desk) is QuoteQuality.LIVE


async def stale_later(desk: Desk) -> bool:
    desk.advance(desk.simulator.engine.now + MINUTE)
    return await stale(desk)


async def errors(desk: Desk, code: int) -> list[BrokerErrorReported]:
    return [event.data for event in await desk.events(BrokerErrorReported) if event.data.code == code]


def metric(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


async def open_lines(desk: Desk, gateway: Gateway) -> dict[str, int]:
    """The lines at the broker once all are open that can be."""
    await gateway.lines.settled()
    await gateway.session.beat()
    return lines_at(desk.simulator)


# Who wants what


async def test_quotes_come_in_batches_with_broker_time(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        await open_lines(desk, gateway)
        desk.advance(OPEN)
        assert await gateway.session.beat() == OPEN
        quotes = await desk.quotes()  # all that preceded the answer is published
        for symbol in SYMBOLS:
            expected = desk.simulator.engine.market.quote(stock(symbol).contract_id, OPEN)
            assert expected is not None
            assert quotes[symbol].time == OPEN
            assert (quotes[symbol].bid, quotes[symbol].ask) == (expected.bid, expected.ask)
            assert (quotes[symbol].last, quotes[symbol].volume) == (expected.last, expected.volume)


async def test_a_name_that_fits_no_contract_is_reported_and_harms_no_other(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        await desk.command(Subscribe(symbols=("NOSUCH", "no symbol")))
        await desk.settled(gateway)
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS)
        found = {event.data.symbol: event.data for event in await desk.events(BrokerErrorReported) if event.data.symbol}
        assert found.keys() == {"NOSUCH", "no symbol"}
        assert {error.effect for error in found.values()} == {ErrorEffect.DATA}
        assert "is no ticker" in found["no symbol"].text


async def test_a_symbol_is_streamed_while_anybody_wants_it(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS)
        await desk.command(Subscribe(symbols=("AAPL", "IBM")))
        await desk.command(Unsubscribe(symbols=("IBM",)))
        await desk.settled(gateway)
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS), "the gateway's own wish was dropped"
        gateway.lines.leave("gateway", SYMBOLS, Feed.QUOTES)
        await until(lambda: set(lines_at(desk.simulator)) == {"AAPL"})
        assert metric("millrace_gateway_lines_used") == 1
        assert metric("millrace_gateway_lines_limit") == 98


async def test_what_is_held_keeps_its_line_while_others_take_turns(desk: Desk) -> None:
    desk.advance()
    held = stock("IBM").contract_id
    desk.simulator.broker.edit_position("DU1000001", held, Decimal(100), Decimal(130))
    async with desk.gateway(market_data_lines=4, spare_lines=2, rotation_seconds=0.1) as gateway:
        await desk.command(Subscribe(symbols=OPTIONS))
        await until(lambda: gateway.lines.turns(OPTIONS[1]) >= 3)
        assert "IBM" in lines_at(desk.simulator)
        assert gateway.lines.turns("IBM") == 1
        assert gateway.lines.turns("AAPL") >= 2


async def test_every_feed_is_published(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        for feed in (Feed.TRADES, Feed.BIDS_AND_ASKS, Feed.DEPTH, Feed.FIVE_SECOND_BARS):
            await desk.command(Subscribe(symbols=("AAPL",), feed=feed))
        await desk.settled(gateway)
        await open_lines(desk, gateway)
        for minute in range(1, 4):
            desk.advance(OPEN + minute * MINUTE)
        await gateway.session.beat()
        batches = [event.data for event in await desk.events(TickBatch, "market.ticks")]
        trades = [tick for batch in batches for tick in batch.trades]
        quotes = [tick for batch in batches for tick in batch.bids_and_asks]
        bars = [event.data.bar for event in await desk.events(LiveBar, "market.ticks")]
        books = [event.data for event in await desk.events(DepthBook, "market.ticks")]
        assert [tick.time for tick in trades] == [OPEN + minute * MINUTE for minute in range(1, 4)]
        assert all(tick.size > 0 and tick.exchange for tick in trades)
        assert len(quotes) == 3
        assert [bar.close for bar in bars] == [tick.price for tick in trades]
        assert all(bar.end - bar.start == timedelta(seconds=5) for bar in bars)
        newest = books[-1]
        assert (newest.bids[0].price, newest.asks[0].price) == (quotes[-1].bid, quotes[-1].ask)
        assert [row.price for row in newest.bids] == sorted((row.price for row in newest.bids), reverse=True)
        assert [row.price for row in newest.asks] == sorted(row.price for row in newest.asks)


async def test_more_ticks_than_ibkr_allows_are_refused_before_it_does(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        for feed in (Feed.TRADES, Feed.BIDS_AND_ASKS):
            await desk.command(Subscribe(symbols=("AAPL", "IBM"), feed=feed))
        await desk.settled(gateway)
        await open_lines(desk, gateway)
        (error,) = await errors(desk, 0)
        assert (error.symbol, error.effect) == ("IBM", ErrorEffect.DATA)
        assert "IBKR allows no more" in error.text
        (session,) = desk.simulator.broker.sessions.values()
        assert len(session.data.ticks) == 3
        assert await errors(desk, 10190) == []


# Outages


async def test_everything_is_asked_for_again_on_a_new_connection(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        await desk.command(Subscribe(symbols=("AAPL",), feed=Feed.DEPTH))
        await desk.settled(gateway)
        await open_lines(desk, gateway)
        desk.drop_clients()
        await until(lambda: not gateway.session.ready.is_set())
        await until(gateway.session.ready.is_set)
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS)
        (session,) = desk.simulator.broker.sessions.values()
        assert [line.instrument.symbol for line in session.data.depth.values()] == ["AAPL"]


async def test_everything_is_asked_for_again_after_1101(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        before = await open_lines(desk, gateway)
        desk.simulator.faults.fire(Link(up=False))
        await until(lambda: not gateway.session.linked.is_set())
        desk.simulator.faults.fire(Link(up=True, data_lost=True))
        await until(lambda: set(lines_at(desk.simulator)) == set(SYMBOLS))
        after = lines_at(desk.simulator)
        assert all(after[symbol] > before[symbol] for symbol in SYMBOLS)
        assert await errors(desk, 300) == [], "the broker's answer to the cancel of a line it lost is no news"
        desk.advance(OPEN + MINUTE)
        await until(gateway.session.ready.is_set)
        await gateway.session.beat()
        assert (await desk.quotes())["IBM"].time == OPEN + MINUTE


async def test_lines_are_asked_for_again_when_their_farm_is_back(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway() as gateway:
        before = await open_lines(desk, gateway)
        desk.simulator.faults.fire(FarmState(farm="usfarm", up=False))
        await until(lambda: not gateway.session.ready.is_set())
        desk.simulator.faults.fire(FarmState(farm="usfarm", up=True))
        await until(lambda: lines_at(desk.simulator).keys() == before.keys() and lines_at(desk.simulator) != before)


async def test_a_silent_line_is_noticed_without_any_code(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway(silence_seconds=0.2) as gateway:
        before = await open_lines(desk, gateway)
        await until(lambda: quality(desk))
        desk.simulator.faults.fire(FarmState(farm="usfarm", up=False, notice=False))
        await until(lambda: stale_later(desk))
        quote = (await desk.quotes())["AAPL"]
        assert quote.time == OPEN, "the last quote is kept"
        assert quote.age_seconds > 0
        await until(lambda: lines_at(desk.simulator)["AAPL"] > before["AAPL"])
        desk.simulator.faults.fire(FarmState(farm="usfarm", up=True, notice=False))
        await until(lambda: live_later(desk))
        assert metric("millrace_gateway_lines_silent_total") > 0


async def test_nobody_waits_for_lines_without_a_link(desk: Desk) -> None:
    rule = {"when": {"receives": "reqContractDetails", "times": 0}, "do": [{"effect": "drop"}]}
    desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))
    async with desk.gateway() as gateway:
        waiting = asyncio.create_task(gateway.lines.settled())
        await gateway.session.beat()
        assert not waiting.done()
        desk.simulator.faults.fire(Link(up=False))
        await until(waiting.done)


# What the broker refuses


async def test_a_refused_line_is_reported_with_its_symbol_and_asked_for_later(desk: Desk) -> None:
    desk.advance()
    desk.simulator.faults.add(load("not-subscribed"))
    async with desk.gateway() as gateway:
        await open_lines(desk, gateway)
        found = await errors(desk, 354)
        assert {(error.symbol, error.effect) for error in found} == {(name, ErrorEffect.DATA) for name in SYMBOLS}
        assert lines_at(desk.simulator) == {}
        assert await desk.quotes() == {}
        desk.simulator.faults.clear()
        desk.simulator.faults.fire(MarketDataAccess(access=Access.LIVE))
        gateway.lines.data_lost()
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS)


async def test_an_account_with_fewer_lines_than_we_think_is_not_asked_again_and_again(desk: Desk) -> None:
    desk.advance()
    desk.simulator.faults.add(load("few-lines"))
    async with desk.gateway() as gateway:
        await open_lines(desk, gateway)
        await desk.command(Subscribe(symbols=OPTIONS))
        await until(lambda: errors(desk, 101))
        await until(lambda: metric("millrace_gateway_lines_used") == len(SYMBOLS))
        await open_lines(desk, gateway)
        assert sorted(error.symbol or "" for error in await errors(desk, 101)) == list(OPTIONS)
        assert set(lines_at(desk.simulator)) == set(SYMBOLS)


async def test_delayed_data_are_taken_only_on_request_and_labelled(desk: Desk) -> None:
    desk.advance(OPEN + 30 * MINUTE)
    desk.simulator.faults.add(load("delayed-data"))
    async with desk.gateway() as gateway:
        assert await open_lines(desk, gateway) == {}
        assert {error.effect for error in await errors(desk, 10089)} == {ErrorEffect.DATA}
    async with desk.gateway(delayed_data=True) as gateway:
        assert set(await open_lines(desk, gateway)) == set(SYMBOLS)
        quote = (await desk.quotes())["AAPL"]
        assert quote.quality is QuoteQuality.DELAYED
        assert quote.time <= OPEN + 15 * MINUTE
        assert {error.symbol for error in await errors(desk, 10167)} == set(SYMBOLS)


async def test_quotes_are_frozen_while_the_market_is_closed_and_live_again_when_it_opens(desk: Desk) -> None:
    desk.advance(OPEN.replace(hour=17))
    async with desk.gateway() as gateway:
        await open_lines(desk, gateway)
        assert await quality(desk) is QuoteQuality.FROZEN
        for moment, label in (
            (OPEN + timedelta(days=1), QuoteQuality.LIVE),
            (OPEN.replace(hour=16, minute=1) + timedelta(days=1), QuoteQuality.FROZEN),
            (OPEN + timedelta(days=2), QuoteQuality.LIVE),
        ):
            desk.advance(moment)
            await gateway.session.beat()
            assert await quality(desk) is label


async def test_a_competing_login_makes_quotes_stale_until_it_leaves(desk: Desk) -> None:
    desk.advance()
    async with desk.gateway(silence_seconds=0.2) as gateway:
        await open_lines(desk, gateway)
        await until(lambda: quality(desk))
        desk.simulator.faults.fire(MarketDataAccess(access=Access.COMPETING))
        desk.advance(OPEN + MINUTE)
        await until(lambda: errors(desk, 10197))
        await until(lambda: stale(desk))
        desk.simulator.faults.fire(MarketDataAccess(access=Access.LIVE))
        await until(lambda: live_later(desk))
        assert gateway.session.linked.is_set()


# Greeks


async def greeks(desk: Desk) -> dict[str, Greeks]:
    """The Greeks of a call and a put about at the money, as a gateway of its own publishes them."""
    async with desk.gateway(interest_rate=0.01) as gateway:
        await desk.command(Subscribe(symbols=OPTIONS))
        found: dict[str, Greeks] = {}

        async def all_there() -> bool:
            await gateway.session.beat()
            quotes = await desk.quotes()
            found.update({name: quotes[name].greeks for name in OPTIONS if name in quotes and quotes[name].greeks})
            return len(found) == len(OPTIONS)

        await until(all_there)
    await desk.bus.client.delete("market.quotes")
    return found


async def test_greeks_are_the_brokers_or_come_near_them(desk: Desk) -> None:
    desk.advance()
    told = await greeks(desk)
    rule = {"when": {"sends": "tickOptionComputation", "times": 0}, "do": [{"effect": "drop"}]}
    desk.simulator.faults.add(Script.model_validate({"rule": [rule]}))
    computed = await greeks(desk)
    for name in OPTIONS:
        ours, theirs = computed[name], told[name]
        assert (ours.source, theirs.source) == (GreeksSource.MODEL, GreeksSource.BROKER)
        assert ours.implied_volatility == pytest.approx(theirs.implied_volatility, rel=0.05)
        assert ours.delta == pytest.approx(theirs.delta, abs=0.01)
        assert ours.gamma == pytest.approx(theirs.gamma, rel=0.05)
        assert ours.vega == pytest.approx(theirs.vega, rel=0.05)
        assert ours.theta == pytest.approx(theirs.theta, rel=0.05)
        assert abs(ours.underlying_price - theirs.underlying_price) <= Decimal("0.02")
    call, put = (told[name] for name in OPTIONS)
    assert call.delta > 0 > put.delta


# A hundred lines for three thousand symbols


MANY = tuple(f"S{number:04}" for number in range(3000))


@pytest.fixture
async def crowd(common: Common, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk in front of 3,000 symbols, 100 lines and a limit on messages (66 times IBKR's, to save time)."""
    settings = Settings(
        port=0,
        market="synthetic",
        symbols=MANY,
        options=False,
        start=date(2012, 6, 1),
        end=date(2012, 6, 8),
        warmup_days=0,
        tick_seconds=600,
        messages_per_second=3300,
    )
    simulator = Simulator(settings, tmp_path / "simulator")
    async with simulator.serving():
        desk = Desk(common.model_copy(update={"symbols": ("S0000",)}), simulator)
        await ensure_groups(desk.bus.client)
        yield desk
        await desk.close()


async def test_a_hundred_lines_serve_three_thousand_symbols_fairly(crowd: Desk) -> None:
    simulator = crowd.simulator
    crowd.advance(simulator.engine.now + timedelta(hours=2))
    most = 0
    async with crowd.gateway(requests_per_second=3000, rotation_share=0.9) as gateway:
        await crowd.command(Subscribe(symbols=MANY, priority=LinePriority.SCANNED))
        await crowd.command(Subscribe(symbols=MANY[1:3], priority=LinePriority.HELD))
        async with asyncio.timeout(50):
            while not all(gateway.lines.turns(symbol) for symbol in MANY):
                await asyncio.sleep(0.05)
                most = max(most, len(lines_at(simulator)))
        assert set(MANY[:3]) <= lines_at(simulator).keys()
        assert 80 < most <= 98
        turns = [gateway.lines.turns(symbol) for symbol in MANY[3:]]
        assert max(turns) - min(turns) <= 1
        assert [gateway.lines.turns(symbol) for symbol in MANY[1:3]] == [1, 1], "a held line was taken away"
        assert metric("millrace_gateway_lines_wanted") == len(MANY)
        assert metric("millrace_gateway_lines_used") <= 98
        assert metric("millrace_gateway_line_turns_total") >= len(MANY) - 98
        assert 0 < metric("millrace_gateway_message_budget_used") <= 1
        waiting = REGISTRY.get_sample_value("millrace_gateway_lines_waiting", {"priority": "scanned"})
        assert waiting is not None
        assert waiting >= len(MANY) - 100
        await gateway.session.beat()
    batches = [event.data for event in await crowd.events(QuoteBatch, "market.quotes")]
    unseen = set(MANY) - {quote.symbol for batch in batches for quote in batch.quotes if quote.bid and quote.last}
    assert len(unseen) <= 98, "a turn ended before the quote was published"  # some turns have just begun
    refusals = [event.data for event in await crowd.events(BrokerErrorReported) if event.data.code in (100, 101, 162)]
    assert refusals == []
