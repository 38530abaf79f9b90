"""Contracts, quotes and history of the simulated gateway through the real client: unmodified ib_async over TCP."""

from datetime import UTC, date, timedelta
from pathlib import Path

from ib_async import Stock

from tests.component.simulator.simulation import AAPL, CLOSE, OPEN, connected, no_decode_errors, running, until  # noqa: F401


async def test_contract_details(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        (details,) = await client.reqContractDetailsAsync(Stock("IBM", "SMART", "USD"))
        assert details.contract is not None
        assert (details.contract.conId, details.contract.primaryExchange) == (8314, "NYSE")
        assert details.minTick == 0.01
        sessions = details.liquidSessions()
        assert (sessions[0].start.astimezone(UTC), sessions[0].end.astimezone(UTC)) == (OPEN, CLOSE)
        by_id = await client.reqContractDetailsAsync(Stock(conId=265598))
        assert by_id[0].contract is not None
        assert by_id[0].contract.symbol == "AAPL"
        assert await client.reqContractDetailsAsync(Stock("NOPE", "SMART", "USD")) == []
        assert await client.reqContractDetailsAsync(Stock("IBM", "SMART", "EUR")) == []


async def test_quotes_follow_the_market(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        ticker = client.reqMktData(AAPL)
        await until(lambda: ticker.hasBidAsk(), "first quote")
        assert ticker.last == 210.73, "the close of 2009-12-31"
        simulator.broker.advance(OPEN + timedelta(minutes=30))
        quote = simulator.engine.market.quote(265598, simulator.engine.now)
        assert quote is not None
        await until(lambda: ticker.lastTimestamp == quote.time, "quote of 10:00")
        assert (ticker.bid, ticker.ask, ticker.last) == tuple(float(p) for p in (quote.bid, quote.ask, quote.last))
        assert (ticker.bidSize, ticker.askSize, ticker.volume) == (quote.bid_size, quote.ask_size, quote.volume)
        assert (ticker.open, ticker.high, ticker.low) == tuple(float(p) for p in (quote.open, quote.high, quote.low))
        assert ticker.close == 210.73
        client.cancelMktData(AAPL)
        (snapshot,) = await client.reqTickersAsync(Stock("IBM", "SMART", "USD", conId=8314))
        assert snapshot.bid < snapshot.ask


async def test_history_is_what_was_streamed(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        stream = client.reqRealTimeBars(AAPL, 5, "TRADES", True)
        await client.reqCurrentTimeAsync()
        simulator.broker.advance(CLOSE)
        await until(lambda: len(stream) == 391, "a real-time bar per tick")
        minute_bars = await client.reqHistoricalDataAsync(AAPL, "", "1 D", "1 min", "TRADES", True, 2)
        assert len(minute_bars) == 390
        assert [bar.close for bar in minute_bars[:-1]] == [bar.close for bar in stream[:389]]
        assert sum(bar.volume for bar in minute_bars) == sum(bar.volume for bar in stream)
        days = await client.reqHistoricalDataAsync(AAPL, "", "3 D", "1 day", "TRADES", True)
        today = days[-1]
        assert (today.date, today.open, today.high, today.low, today.close) == (
            date(2010, 1, 4),
            stream[0].open_,
            max(bar.high for bar in stream),
            min(bar.low for bar in stream),
            stream[-1].close,
        )
        assert [bar.date for bar in days] == [date(2009, 12, 30), date(2009, 12, 31), date(2010, 1, 4)]
        assert not await client.reqHistoricalDataAsync(AAPL, "", "1 X", "1 day", "TRADES", True)
        text_dates = await client.reqHistoricalDataAsync(
            AAPL, OPEN + timedelta(hours=1), "600 S", "5 mins", "TRADES", True, 1
        )
        assert [bar.date for bar in text_dates] == [OPEN + timedelta(minutes=50), OPEN + timedelta(minutes=55)]
