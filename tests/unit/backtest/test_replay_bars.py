"""The bars of a backtest through the simulator are those that live would have."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.backtest.core.replay_bars import BarStore, MinuteBars, Shelf
from services.gateway.core.bar_times import span
from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings
from services.simulator.core.history import HistoryQuery, bars
from services.simulator.core.market import Market
from services.strategy.core.bars import Bars
from shared.calendar import NEW_YORK, sessions
from shared.messages.market import Bar, Quote
from shared.types import QuoteQuality, SecurityType, Timeframe

START, END = date(2012, 6, 1), date(2012, 8, 31)


@pytest.fixture(scope="module")
def market() -> Market:
    settings = Settings(market="synthetic", corporate_actions=True, start=START, end=END, warmup_days=500)
    return load_market(settings, tuple(f"S{number}" for number in range(12)))


def told(market: Market, contract_id: int, now: datetime, count: int) -> list[Bar]:
    """What the gateway makes of the broker's answer."""
    query = HistoryQuery(contract_id, now, f"{count + 1} D", "1 day", "TRADES", regular=True)
    found: list[Bar] = []
    for bar in bars(market, query, now.astimezone(NEW_YORK).date()):
        hours = span(SecurityType.STOCK, Timeframe.DAY, bar.start, regular_hours=True)
        assert hours is not None
        prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
        made = Bar(
            symbol=market.instrument(contract_id).symbol,
            timeframe=Timeframe.DAY,
            start=hours[0],
            end=hours[1],
            **prices,
            volume=Decimal(bar.volume),
        )
        if made.end <= now:
            found.append(made)
    return found[-count:]


def held(store: BarStore, symbol: str) -> Sequence[Bar]:
    return store._shelves[symbol].bars


def test_at_the_start_they_are_the_brokers_history_adjusted_for_splits(market: Market) -> None:
    now = datetime(2012, 6, 1, 13, tzinfo=UTC)
    store = BarStore(market, market.catalogue.listed, history_bars=60, size=60)
    store.fetch(now)
    for listed in market.catalogue.listed:
        assert held(store, listed.symbol) == told(market, listed.contract_id, now, 60)
    assert any(market.actions(listed.contract_id) for listed in market.catalogue.listed)


def test_every_session_adds_its_bar(market: Market) -> None:
    store = BarStore(market, market.catalogue.listed[:2], history_bars=20, size=20)
    store.fetch(datetime(2012, 6, 1, 13, tzinfo=UTC))
    for day in sessions(START, date(2012, 6, 15)):
        now = datetime(day.year, day.month, day.day, 20, 5, tzinfo=UTC)
        store.fetch(now)
        store.fetch(now)
        newest = told(market, market.catalogue.listed[0].contract_id, now, 1)
        window = store.window("S0", 20, newest[0].end)
        assert window is not None
        assert window[0] == newest[0]
        assert len(window[1]) == 20
        assert len(held(store, "S0")) == len({bar.end for bar in held(store, "S0")})
    assert store.window("S0", 20, newest[0].end + timedelta(days=1)) is None


def test_a_shelf_shows_its_newest_bars_however_many_came() -> None:
    shelf, every = Shelf(3), []
    for number in range(50):
        start = datetime(2012, 6, 1, 14, number, tzinfo=UTC)
        bar = Bar(
            symbol="AAA",
            timeframe=Timeframe.MINUTE,
            start=start,
            end=start + timedelta(minutes=1),
            open=Decimal(number + 1),
            high=Decimal(number + 3),
            low=Decimal("0.5"),
            close=Decimal(number + 2),
            volume=Decimal(100 * number),
        )
        shelf.add(bar)
        every.append(bar)
        shown, wanted = shelf.newest(3), Bars.of(every[-3:])
        for name in ("end", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(shown, name), getattr(wanted, name)), (number, name)
    with pytest.raises(ValueError, match="read-only"):
        shelf.newest(3).close[-1] = 0


def test_minutes_close_when_the_next_one_begins() -> None:
    minutes = MinuteBars(["AAA", "BBB"], 10)

    def hear(second: int, last: str) -> list[Bar]:
        time = datetime(2012, 6, 1, 14, 0, tzinfo=UTC) + timedelta(seconds=second)
        quote = Quote(
            symbol="AAA",
            bid=None,
            ask=None,
            last=Decimal(last),
            bid_size=None,
            ask_size=None,
            volume=Decimal(1000 + second),
            time=time,
            quality=QuoteQuality.LIVE,
        )
        return [bar for bar, _ in minutes.hear({"AAA": quote})]

    assert hear(30, "10.00") == []
    assert hear(60, "10.10") == []  # the first minute was not seen from its beginning
    assert hear(90, "10.30") == []
    (bar,) = hear(120, "10.20")
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
        *map(Decimal, ("10.10", "10.30", "10.10", "10.30")),
        60,
    )
