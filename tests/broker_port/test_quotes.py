"""Quotes and what they are worth: live, delayed, frozen, stale, or refused."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest

from services.gateway.ports import RequestRefused
from services.simulator.entitlement import Access
from services.simulator.faults.effects import MarketDataAccess
from shared.instruments import parse
from shared.messages.broker import ErrorEffect
from shared.messages.market import GreeksSource, Quote
from shared.messages.market_requests import Feed
from shared.types import QuoteQuality, SecurityType
from tests.broker_port.stage import Stage, until
from tests.conformance.market import CLOSE, MINUTE


async def opened(stage: Stage, symbol: str = "AAPL") -> Quote:
    """Open a line; return its first complete quote: a currency pair has no last price, since it has no trades."""
    pair = parse(symbol).security_type is SecurityType.CURRENCY
    await stage.broker.lines.open(symbol, Feed.QUOTES)
    return await stage.quote(symbol, lambda quote: None not in (quote.bid, quote.ask, quote.last or pair or None))


def prices(quote: Quote) -> tuple[Decimal | None, ...]:
    return quote.bid, quote.ask, quote.last


@pytest.mark.parametrize("symbol", ["AAPL", "/ESM4", "EUR.USD", "option"])
async def test_quote_is_the_markets(stage: Stage, symbol: str) -> None:
    name = stage.option() if symbol == "option" else symbol
    quote, market = await opened(stage, name), stage.market(name)
    assert prices(quote) == (market.bid, market.ask, None if symbol == "EUR.USD" else market.last)
    assert quote.quality is QuoteQuality.LIVE
    assert quote.time.utcoffset() == timedelta(0)


async def test_sizes_and_volume_are_in_shares(stage: Stage) -> None:
    await opened(stage)
    market = stage.market()
    quote = await stage.quote("AAPL", lambda quote: None not in (quote.bid_size, quote.ask_size, quote.volume))
    assert (quote.bid_size, quote.ask_size, quote.volume) == (market.bid_size, market.ask_size, market.volume)


async def test_index_has_a_last_price_only(stage: Stage) -> None:
    await stage.broker.lines.open("^SPX", Feed.QUOTES)
    quote = await stage.quote("^SPX", lambda quote: quote.last)
    assert quote.last == stage.market("^SPX").last


async def test_quote_follows_the_market(stage: Stage) -> None:
    before = await opened(stage)
    changes = stage.heard.quote_changes
    assert changes > 0
    for _ in range(5):
        stage.advance(stage.now + MINUTE)
        market = stage.market()
        wanted = (market.bid, market.ask, market.last)
        quote = await stage.quote("AAPL", lambda quote, wanted=wanted: prices(quote) == wanted)
        assert quote.time >= before.time
    assert stage.heard.quote_changes > changes


async def test_symbols_do_not_mix(stage: Stage) -> None:
    for symbol in ("AAPL", "IBM", "MSFT"):
        await stage.broker.lines.open(symbol, Feed.QUOTES)
    stage.advance(stage.now + MINUTE)
    for symbol in ("AAPL", "IBM", "MSFT"):
        market = stage.market(symbol)
        wanted = (market.bid, market.ask, market.last)
        assert (await stage.quote(symbol, lambda quote, wanted=wanted: prices(quote) == wanted)).symbol == symbol


async def test_lines_that_are_open_are_listed(stage: Stage) -> None:
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    await stage.broker.lines.open("IBM", Feed.QUOTES)
    assert stage.broker.lines.opened() == {("AAPL", Feed.QUOTES), ("IBM", Feed.QUOTES)}
    await stage.broker.lines.close("AAPL", Feed.QUOTES)
    assert stage.broker.lines.opened() == {("IBM", Feed.QUOTES)}


async def test_closed_line_is_silent_and_forgotten(stage: Stage) -> None:
    lines = stage.broker.lines
    await opened(stage)
    await opened(stage, "IBM")
    await lines.close("AAPL", Feed.QUOTES)
    await lines.close("AAPL", Feed.QUOTES)  # nothing happens where there is none
    lines.take_quotes(time.monotonic())
    stage.advance(stage.now + MINUTE)
    wanted = stage.market("IBM").last
    stage.quotes.clear()
    await stage.quote("IBM", lambda quote: quote.last == wanted)
    assert set(stage.quotes) == {"IBM"}
    assert lines.heard_at("AAPL", Feed.QUOTES) is None
    assert not lines.complete("AAPL")


async def test_complete_once_bid_ask_and_last_were_heard(stage: Stage) -> None:
    lines = stage.broker.lines
    assert not lines.complete("AAPL")
    assert lines.heard_at("AAPL", Feed.QUOTES) is None
    began = time.monotonic()
    await lines.open("AAPL", Feed.QUOTES)
    await until(lambda: lines.complete("AAPL"), "complete")
    heard_at = lines.heard_at("AAPL", Feed.QUOTES)
    assert heard_at is not None
    assert began <= heard_at <= time.monotonic()


async def test_stale_until_the_next_tick(stage: Stage) -> None:
    before = await opened(stage)
    stage.broker.lines.mark_stale("AAPL")
    stale = await stage.quote("AAPL", lambda quote: quote.quality is QuoteQuality.STALE)
    assert prices(stale) == prices(before)
    stage.advance(stage.now + MINUTE)
    await stage.quote("AAPL", lambda quote: quote.quality is QuoteQuality.LIVE)


async def test_reopened_line_keeps_its_quote_and_goes_on(stage: Stage) -> None:
    await opened(stage)
    await stage.broker.lines.reopen("AAPL", Feed.QUOTES)
    assert stage.broker.lines.opened() == {("AAPL", Feed.QUOTES)}
    stage.advance(stage.now + MINUTE)
    wanted = stage.market().last
    quote = await stage.quote("AAPL", lambda quote: quote.last == wanted and quote.quality is QuoteQuality.LIVE)
    assert quote.bid is not None


async def test_delayed(stage: Stage) -> None:
    stage.fire(MarketDataAccess(access=Access.DELAYED))
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    quote = await stage.quote("AAPL", lambda quote: quote.last)
    assert quote.quality is QuoteQuality.DELAYED
    assert stage.market().last != quote.last, "it is what the market was some minutes ago"


async def test_frozen_after_hours(stage: Stage) -> None:
    stage.advance(CLOSE + timedelta(hours=4))
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    quote = await stage.quote("AAPL", lambda quote: quote.last)
    assert quote.quality is QuoteQuality.FROZEN
    assert quote.last == stage.market().last


async def test_not_subscribed(stage: Stage) -> None:
    stage.fire(MarketDataAccess(access=Access.NOT_SUBSCRIBED))
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    error = await stage.error(lambda error: error.symbol == "AAPL", "an error about AAPL")
    assert error.effect is ErrorEffect.DATA
    assert stage.broker.lines.take_quotes(time.monotonic()) == [] or not stage.broker.lines.complete("AAPL")


async def test_competing_session(stage: Stage) -> None:
    await opened(stage)
    stage.fire(MarketDataAccess(access=Access.COMPETING))
    error = await stage.error(lambda error: error.code == 10197, "10197")
    assert error.effect is ErrorEffect.DATA


@pytest.mark.parametrize("symbol", ["NOSUCH", "^NOSUCH", "AAPL  240621C00000500", "not a name"])
async def test_no_line_for_what_is_not_listed(stage: Stage, symbol: str) -> None:
    with pytest.raises(RequestRefused):
        await stage.broker.lines.open(symbol, Feed.QUOTES)
    assert stage.broker.lines.opened() == frozenset()


async def test_lines_end_with_the_connection(stage: Stage) -> None:
    await opened(stage)
    stage.broker.disconnect()
    await stage.connect()
    assert stage.broker.lines.opened() == frozenset()
    stage.quotes.clear()
    assert prices(await opened(stage)) == (stage.market().bid, stage.market().ask, stage.market().last)


@pytest.mark.parametrize("right", ["C", "P"])
async def test_greeks_are_the_brokers(stage: Stage, right: str) -> None:
    """An adapter may need the underlying's price for them, and then takes it from the underlying's own line."""
    name = stage.option(right)
    await stage.broker.lines.open("AAPL", Feed.QUOTES)
    await stage.broker.lines.open(name, Feed.QUOTES)
    greeks = (await stage.quote(name, lambda quote: quote.greeks)).greeks
    expected = stage.simulator.engine.market.greeks(stage.listed(name).contract_id, stage.now)
    assert greeks is not None
    assert expected is not None
    assert greeks.source is GreeksSource.BROKER
    assert greeks.implied_volatility == pytest.approx(expected.volatility, rel=0.01)
    assert greeks.delta == pytest.approx(expected.delta, abs=0.01)
    assert (greeks.gamma, greeks.vega) == (
        pytest.approx(expected.gamma, rel=0.02),
        pytest.approx(expected.vega, rel=0.02),
    )
    assert greeks.theta == pytest.approx(expected.theta, rel=0.02)
    assert (greeks.delta > 0) == (right == "C")


async def test_stock_has_no_greeks(stage: Stage) -> None:
    assert (await opened(stage)).greeks is None
