"""What a client sees when data are wrong, late or missing, or others act in the account, and what the books say."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async import Stock

from services.simulator.faults import scenarios
from tests.component.simulator.scenario_stage import AAPL, NEXT_OPEN, OPEN, play, reconnect, until

IBM = Stock("IBM", "SMART", "USD", conId=8314)
FOLDER = Path(__file__).parent


def test_every_scenario_has_a_test() -> None:
    """And every one says in a line what it is."""
    tests = "".join(path.read_text() for path in FOLDER.glob("test_scenarios_*.py"))
    known = scenarios()
    assert [name for name in known if f"async def test_{name.replace('-', '_')}(" not in tests] == []
    assert all(known.values())


async def test_farm_flaps(tmp_path: Path) -> None:
    async with play(tmp_path, "farm-flaps") as stage:
        await until(lambda: stage.codes[:4] == [2103, 2104, 2103, 2104], "two flaps")


async def test_silent_farm(tmp_path: Path) -> None:
    async with play(tmp_path, "silent-farm") as stage:
        ticker = stage.client.reqMktData(AAPL)
        await until(ticker.hasBidAsk, "quotes at first")
        for minute in range(120):
            stage.advance(minutes=minute)
        await stage.settled()
        before = (ticker.bid, ticker.ask, ticker.time)
        stage.advance(minutes=240)
        await stage.settled()
        assert (ticker.bid, ticker.ask, ticker.time) == before
        assert stage.codes == [], "and nothing says so"


async def test_history_farm_down(tmp_path: Path) -> None:
    async with play(tmp_path, "history-farm-down", connect=False) as stage:
        await reconnect(stage)
        assert 2105 in stage.codes
        assert not await stage.client.reqHistoricalDataAsync(AAPL, "", "5 D", "1 day", "TRADES", True)
        assert stage.codes[-1] == 162


async def test_competing_session(tmp_path: Path) -> None:
    async with play(tmp_path, "competing-session") as stage:
        tickers = [stage.client.reqMktData(contract) for contract in (AAPL, IBM)]
        for minute in range(30):
            stage.advance(minutes=minute)
            await stage.settled()
        assert stage.codes.count(10197) == 2, "one for each line"
        before = [ticker.time for ticker in tickers]
        stage.client.reqMktData(Stock("AAPL", "NASDAQ", "USD", conId=265598))
        await until(lambda: stage.codes.count(10197) == 3, "and for a new one")
        await asyncio.sleep(30 * 0.02)
        stage.advance(minutes=60)
        await until(lambda: all(ticker.time != old for ticker, old in zip(tickers, before, strict=True)), "back")


async def test_delayed_data(tmp_path: Path) -> None:
    async with play(tmp_path, "delayed-data") as stage:
        stage.client.reqMktData(AAPL)
        await until(lambda: 10089 in stage.codes, "refused")
        stage.client.reqMarketDataType(3)
        ticker = stage.client.reqMktData(IBM)
        await until(lambda: 10167 in stage.codes and ticker.marketDataType == 3, "delayed")
        await until(ticker.hasBidAsk, "and there are ticks")


async def refused_data(tmp_path: Path, name: str, code: int) -> None:
    async with play(tmp_path, name) as stage:
        ticker = stage.client.reqMktData(AAPL)
        await until(lambda: stage.codes == [code], "refused")
        assert not ticker.hasBidAsk()
        assert list(stage.simulator.broker.sessions[1].data.lines()) == []


async def test_not_subscribed(tmp_path: Path) -> None:
    await refused_data(tmp_path, "not-subscribed", 354)


async def test_delayed_off(tmp_path: Path) -> None:
    await refused_data(tmp_path, "delayed-off", 10168)


async def test_few_lines(tmp_path: Path) -> None:
    async with play(tmp_path, "few-lines") as stage:
        for exchange in ("SMART", "NYSE", "ARCA"):
            stage.client.reqMktData(Stock("AAPL", exchange, "USD", conId=265598))
        await until(lambda: 101 in stage.codes, "the third is refused")
        assert len(list(stage.simulator.broker.sessions[1].data.lines())) == 2


async def test_no_quotes(tmp_path: Path) -> None:
    async with play(tmp_path, "no-quotes") as stage:
        ticker = stage.client.reqMktData(AAPL)
        await until(lambda: ticker.bid == -1 and ticker.ask == -1, "no quote")
        assert not ticker.hasBidAsk()


async def test_clock_skew(tmp_path: Path) -> None:
    async with play(tmp_path, "clock-skew") as stage:
        assert await stage.client.reqCurrentTimeAsync() == OPEN + timedelta(seconds=90)
        assert stage.simulator.engine.now == OPEN


async def test_missing_ends(tmp_path: Path) -> None:
    async with play(tmp_path, "missing-ends", connect=False) as stage:
        with pytest.raises(ConnectionError):
            await reconnect(stage, seconds=0.3)
        await stage.client.connectAsync("127.0.0.1", stage.simulator.port, clientId=2, timeout=0.3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.client.reqContractDetailsAsync(AAPL), 0.3)


async def test_positions_missing(tmp_path: Path) -> None:
    async with play(tmp_path, "positions-missing") as stage:
        stage.buy()
        await stage.settled()
        stage.advance(minutes=5)
        assert stage.held() == 100
        assert await stage.client.reqPositionsAsync() == []


async def test_empty_history(tmp_path: Path) -> None:
    async with play(tmp_path, "empty-history") as stage:
        assert not await stage.client.reqHistoricalDataAsync(AAPL, "", "5 D", "1 day", "TRADES", True)
        assert stage.codes == []


async def test_history_pacing(tmp_path: Path) -> None:
    async with play(tmp_path, "history-pacing") as stage:
        answers = [
            await stage.client.reqHistoricalDataAsync(AAPL, "", f"{days} D", "1 day", "TRADES", True) for days in (2, 3)
        ]
        assert [len(bars) for bars in answers] == [2, 0]
        assert stage.codes == [162]


async def test_manual_orders(tmp_path: Path) -> None:
    async with play(tmp_path, "manual-orders") as stage:
        stage.advance(hours=1)
        await until(lambda: stage.client.positions(), "a position out of nowhere")
        assert stage.client.positions()[0].position == stage.held() == 50
        assert stage.client.trades() == [], "its order is not ours"


async def test_other_client(tmp_path: Path) -> None:
    async with play(tmp_path, "other-client") as stage:
        stage.buy()
        await stage.settled()
        stage.advance(hours=1)
        await until(lambda: [one.position for one in stage.client.positions()] == [70], "somebody sold 30")
        assert stage.held() == 70
        everybody = {execution.order.request.client_id for execution in stage.simulator.engine.executions}
        assert everybody == {1, 99}


async def test_assignment(tmp_path: Path) -> None:
    async with play(tmp_path, "assignment") as stage:
        stage.advance(NEXT_OPEN)
        await until(lambda: stage.client.positions(), "a position out of nowhere")
        (position,) = stage.client.positions()
        assert (position.position, position.avgCost) == (100, 200)
        stage.edited[AAPL.conId] = stage.held()
        assert stage.held() == Decimal(100)
        assert stage.simulator.engine.executions == []
