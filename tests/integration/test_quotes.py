"""Following the market, pulled and pushed, against a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from shared import reader
from shared.bus import FIELD, Bus
from shared.messages.base import Envelope, originate
from shared.messages.market import Quote, QuoteBatch
from shared.quotes import QuoteBoard, following
from shared.types import QuoteQuality
from tests.tools import START, eventually, make_bus


@pytest.fixture(autouse=True)
def _short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastStream stops only between two reads."""
    monkeypatch.setattr("shared.quotes.BLOCK_MILLISECONDS", 100)
    assert reader.BLOCK_MILLISECONDS == 1000


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Bus]:
    bus = make_bus(redis_url, "gateway")
    yield bus
    await bus.close()


@pytest.fixture
async def risk(redis_url: str) -> AsyncIterator[Bus]:
    bus = make_bus(redis_url, "risk")
    yield bus
    await bus.close()


def batch(number: int, *symbols: str) -> Envelope[QuoteBatch]:
    """Quotes of these symbols with `number` as their last price."""
    time = START + timedelta(seconds=number)
    quotes = tuple(
        Quote(symbol=symbol, bid=None, ask=None, last=Decimal(number), bid_size=None, ask_size=None, volume=None,
              time=time, quality=QuoteQuality.LIVE)
        for symbol in symbols
    )  # fmt: skip
    return originate(QuoteBatch(quotes=quotes), source="gateway", time=time, subject="quotes", key=str(number))


def prices(quotes: dict[str, Quote]) -> dict[str, int]:
    return {symbol: int(quote.last or 0) for symbol, quote in quotes.items()}


async def test_a_board_sees_everything_that_was_published_before_it_asks(gateway: Bus, risk: Bus) -> None:
    board = QuoteBoard(risk)
    assert await board.catch_up() == {}
    await gateway.publish([batch(1, "AAPL", "IBM"), batch(2, "AAPL")])
    assert prices(await board.catch_up()) == {"AAPL": 2, "IBM": 1}
    for number in range(3, 503):  # more than one read brings
        await gateway.publish([batch(number, "AAPL")])
    assert prices(await board.catch_up()) == {"AAPL": 502, "IBM": 1}
    assert prices(await QuoteBoard(risk).catch_up()) == {"AAPL": 502, "IBM": 1}, "a board made later knows as much"
    assert risk.clock.now() == START + timedelta(seconds=502)


async def test_a_board_skips_what_it_cannot_read(gateway: Bus, risk: Bus) -> None:
    board = QuoteBoard(risk)
    await gateway.publish([batch(1, "AAPL")])
    await gateway.client.xadd("market.quotes", {FIELD: b"{broken"})
    await gateway.client.xadd("market.quotes", {"other": b"x"})
    await gateway.publish([batch(2, "AAPL")])
    assert prices(await board.catch_up()) == {"AAPL": 2}


async def test_a_board_survives_a_dropped_connection(redis_url: str, gateway: Bus, risk: Bus) -> None:
    board = QuoteBoard(risk)
    for number in range(1, 6):
        await gateway.publish([batch(number, "AAPL")])
        async with Redis.from_url(redis_url) as admin:
            await admin.client_kill_filter(_type="normal", skipme=True)
        assert prices(await board.catch_up()) == {"AAPL": number}


async def test_a_follower_gets_every_batch_in_order(gateway: Bus, risk: Bus) -> None:
    got: list[int] = []

    async def handle(batches: list[Envelope[QuoteBatch]]) -> None:
        got.extend(int(batch.data.quotes[0].last or 0) for batch in batches)

    await gateway.publish([batch(1, "AAPL")])  # before it follows: not for it
    async with following(risk, handle):
        for number in range(2, 502):
            await gateway.publish([batch(number, "AAPL")])
            if number == 100:
                await gateway.client.xadd("market.quotes", {FIELD: b"{broken"})
        await eventually(lambda: got[-1:] == [501])
    assert got == list(range(2, 502))
    assert risk.clock.now() == START + timedelta(seconds=501)


async def test_a_follower_survives_dropped_connections(redis_url: str, gateway: Bus, risk: Bus) -> None:
    newest: dict[str, int] = {}

    async def handle(batches: list[Envelope[QuoteBatch]]) -> None:
        for each in batches:
            newest.update(prices({quote.symbol: quote for quote in each.data.quotes}))

    async with following(risk, handle), Redis.from_url(redis_url) as admin:
        for number in range(1, 6):
            await admin.client_kill_filter(_type="normal", skipme=True)
            await gateway.publish([batch(number, "AAPL", "IBM")])
            assert await eventually(lambda n=number: newest == {"AAPL": n, "IBM": n}, 5) < 1  # seconds


async def test_what_a_handler_raises_reaches_the_follower(gateway: Bus, risk: Bus) -> None:
    async def handle(batches: Any) -> None:
        raise ArithmeticError("a bug")

    async def follow() -> None:
        async with following(risk, handle):
            await gateway.publish([batch(1, "AAPL")])
            await asyncio.sleep(10)  # the failure cancels this

    with pytest.raises(ExceptionGroup) as caught:
        await follow()
    assert caught.group_contains(ArithmeticError, match="a bug")
