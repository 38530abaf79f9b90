"""The bars that live would have at each moment: days fetched from the simulated broker, minutes made of its quotes, as
the market data service does."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from services.marketdata.core.aggregate import MinuteAggregator
from services.marketdata.core.history import bars_missing, sift
from services.scanner.core.filters import DailyClose
from services.simulator.core.history import HistoryQuery
from services.simulator.core.history import bars as broker_bars
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.tape import price_of
from services.strategy.core.bars import Bars
from shared.calendar import NEW_YORK
from shared.messages.market import Bar, Quote
from shared.types import Timeframe

_DAY = "1 day"
_ROOM = 4
"""How many times its size a shelf has room for."""


class Shelf:
    """One symbol's newest bars, oldest first: `size` of them at least, as exact bars and as numbers for indicators.

    The numbers are read-only, so that no strategy spoils them for another.
    """

    def __init__(self, size: int) -> None:
        self.bars: list[Bar] = []
        self._size = size
        self._end = np.empty(_ROOM * size, dtype="datetime64[us]")
        self._columns = np.empty((5, _ROOM * size))
        self._shown = self._columns.view()
        self._shown.flags.writeable = False

    def add(self, bar: Bar) -> None:
        if len(self.bars) == len(self._end):  # room is made for many at once
            del self.bars[: -self._size]
            self._end[: self._size] = self._end[-self._size :]
            self._columns[:, : self._size] = self._columns[:, -self._size :]
        place = len(self.bars)
        self.bars.append(bar)
        self._end[place] = np.datetime64(bar.end.replace(tzinfo=None), "us")
        self._columns[:, place] = [float(number) for number in (bar.open, bar.high, bar.low, bar.close, bar.volume)]

    def newest(self, size: int) -> Bars:
        span = slice(max(0, len(self.bars) - size), len(self.bars))
        return Bars(self._end[span], *self._shown[:, span])


class BarStore:
    """The newest daily bars of each symbol, `size` of them at least; at the start as many as `history_bars`."""

    def __init__(self, market: Market, instruments: Iterable[Instrument], history_bars: int, size: int) -> None:
        self._market = market
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._history_bars = history_bars
        self._shelves = {symbol: Shelf(max(size, history_bars)) for symbol in self._instruments}

    def fetch(self, now: datetime) -> None:
        """Take over every bar that has closed since the last one known."""
        for symbol, shelf in self._shelves.items():
            last = shelf.bars[-1].end if shelf.bars else None
            missing = bars_missing([] if last is None else [last], now, self._history_bars)
            if missing:
                for bar in sift(self._closed(self._instruments[symbol], missing, now), ()).new:
                    if last is None or bar.end > last:
                        shelf.add(bar)

    def window(self, symbol: str, size: int, end: datetime) -> tuple[Bar, Bars] | None:
        """The newest bar, and the newest `size` bars with it; None if the newest does not end at `end`."""
        shelf = self._shelves[symbol]
        return (shelf.bars[-1], shelf.newest(size)) if shelf.bars and shelf.bars[-1].end == end else None

    def closes(self, symbol: str, count: int) -> Sequence[DailyClose]:
        """The newest `count` sessions, oldest first."""
        return [DailyClose(bar.close, bar.volume) for bar in self._shelves[symbol].bars[-count:]]

    def _closed(self, instrument: Instrument, count: int, now: datetime) -> list[Bar]:
        """The newest `count` bars that have closed by `now`, as the broker answers."""
        contract_id = instrument.contract_id
        if self._market.actions(contract_id):  # past prices are adjusted for splits
            query = HistoryQuery(contract_id, now, f"{count} D", _DAY, "TRADES", regular=True)
            told = broker_bars(self._market, query, now.astimezone(NEW_YORK).date())
            return [
                self._bar(instrument, bar.start, (bar.open, bar.high, bar.low, bar.close), bar.volume) for bar in told
            ]
        beyond = bisect_right(self._market.all_sessions, now, key=lambda session: session.close)
        days = [session.day for session in self._market.all_sessions[max(0, beyond - count) : beyond]]
        daily = [bar for day in days if (bar := self._market.daily_bar(contract_id, day)) is not None]
        unit = instrument.unit
        return [
            self._bar(
                instrument,
                bar.day,
                [price_of(units, unit) for units in (bar.open, bar.high, bar.low, bar.close)],
                bar.volume,
            )
            for bar in daily
        ]

    def _bar(self, instrument: Instrument, day: date, prices: Sequence[Decimal], volume: int) -> Bar:
        session = self._market.session_of(day)
        assert session is not None  # noqa: S101 - stocks have prices on session days only
        opening, high, low, close = prices
        return Bar(
            symbol=instrument.symbol,
            timeframe=Timeframe.DAY,
            start=session.open,
            end=session.close,
            open=opening,
            high=high,
            low=low,
            close=close,
            volume=Decimal(volume),
        )


class MinuteBars:
    """The newest `size` one-minute bars of each symbol, made of quotes."""

    def __init__(self, symbols: Iterable[str], size: int) -> None:
        self._size = size
        self._shelves = {symbol: Shelf(size) for symbol in symbols}
        self._aggregator = MinuteAggregator()

    def hear(self, quotes: Mapping[str, Quote]) -> Iterator[tuple[Bar, Bars]]:
        """Take the present quotes; yields each bar that they close, and the newest `size` bars with it."""
        for symbol, shelf in self._shelves.items():
            quote = quotes.get(symbol)
            bar = self._aggregator.add(quote) if quote is not None else None
            if bar is not None:
                shelf.add(bar)
                yield bar, shelf.newest(self._size)
