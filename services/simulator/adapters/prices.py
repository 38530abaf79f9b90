"""Loads the market that the settings describe: real daily bars of a package, price files, or a synthetic one.

Indices and currency pairs have prices of their own in a folder (SPX.csv, EUR.USD.csv), and are synthetic otherwise.
"""

import importlib
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.simulator.adapters.sources import price_file, read_actions, read_prices
from services.simulator.config import Settings
from services.simulator.core import catalogue
from services.simulator.core.assembly import make_market
from services.simulator.core.bars import DailyBar, DailySeries, Series
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.futures import ROOTS
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.minutes import MinuteSeries
from services.simulator.core.quotes import MarketTerms
from services.simulator.core.synthetic import (
    SyntheticTerms,
    synthetic_actions,
    synthetic_index,
    synthetic_pair,
    synthetic_stock,
)
from services.simulator.core.tape import Session
from shared import calendar
from shared.config import ConfigError

REPLAY_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_COLUMNS = ("date", "open", "high", "low", "close", "volume")
_DAYS_KNOWN_AHEAD = 10
"""Days after the data's end whose sessions are known, for the trading hours in contract details."""


def load_market(settings: Settings, symbols: Sequence[str]) -> Market:
    """Return the market of `settings` in `symbols`. Raises ConfigError naming what is wrong with settings or files."""
    if not symbols:
        raise ConfigError("simulator: symbols is empty; name at least one")
    twice = [symbol for symbol in symbols if symbols.count(symbol) > 1]
    if twice:
        raise ConfigError(f"simulator: symbols contains {twice[0]!r} twice; take one out")
    loader = _Loader(settings, symbols)
    terms = MarketTerms(
        settings.tick_seconds,
        settings.spread,
        settings.extended_hours,
        settings.interest_rate,
        frozenset(settings.hard_to_borrow),
    )
    try:
        return make_market(
            loader.sessions,
            dict(loader.listed()),
            settings.start,
            settings.end,
            terms,
            settings.futures,
            settings.options,
            loader.actions,
        )
    except ValueError as error:
        raise ConfigError(f"simulator: {error}") from error


class _Loader:
    """Makes every instrument of the settings with its prices."""

    def __init__(self, settings: Settings, symbols: Sequence[str]) -> None:
        self._settings = settings
        self._symbols = symbols
        first = settings.start - timedelta(days=settings.warmup_days)
        self.sessions = _sessions(first, settings.end + timedelta(days=_DAYS_KNOWN_AHEAD))
        self._days = [session.day for session in self.sessions]
        self._terms = SyntheticTerms(
            settings.seed,
            settings.drift,
            settings.volatility,
            settings.regimes,
            settings.gaps_per_year,
            settings.halts_per_year,
        )
        self.actions: dict[int, Sequence[CorporateAction]] = {}
        self._zone = _zone(settings.minutes_zone)
        in_folder = settings.market == "folder" and settings.folder is not None
        self._actions_of = read_actions(settings.folder / "actions.csv") if in_folder and settings.folder else {}

    def listed(self) -> Iterator[tuple[Instrument, Series]]:
        for symbol in self._symbols:
            instrument, series = self._stock(symbol)
            yield instrument, series
        for symbol in self._indices():
            yield self._named(catalogue.index(symbol), synthetic_index(symbol, self._days, self._terms))
        for name in self._settings.currencies:
            if len(name) != 7 or not name.endswith(".USD"):
                raise ConfigError(f"simulator: currencies contains {name!r}; only pairs like EUR.USD are there")
            weekdays = _weekdays(self._days[0], self._days[-1])
            yield self._named(catalogue.pair(name), synthetic_pair(name, weekdays, self._terms))

    def _indices(self) -> Sequence[str]:
        unknown = [root for root in self._settings.futures if root not in ROOTS]
        if unknown:
            raise ConfigError(f"simulator: futures contains {unknown[0]!r}; choose from {', '.join(ROOTS)}")
        return tuple(dict.fromkeys((*self._settings.indices, *(ROOTS[root].index for root in self._settings.futures))))

    def _stock(self, symbol: str) -> tuple[Instrument, Series]:
        settings, etf = self._settings, symbol in self._settings.etfs
        if settings.market == "folder":
            return self._from_folder(symbol, etf)
        instrument = catalogue.stock(symbol, etf)
        if settings.market == "replay":
            return instrument, DailySeries(symbol, self._known(replay_bars(symbol)))
        actions = synthetic_actions(symbol, self._days, self._terms) if settings.corporate_actions else ()
        self.actions[instrument.contract_id] = actions
        return instrument, synthetic_stock(symbol, self._days, self._terms, actions)

    def _from_folder(self, symbol: str, etf: bool) -> tuple[Instrument, Series]:
        assert self._settings.folder is not None  # noqa: S101 - the settings checked it
        found = read_prices(price_file(self._settings.folder, symbol), self._zone)
        instrument = catalogue.stock(symbol, etf, penny=found.unit < Decimal("0.01"))
        self.actions[instrument.contract_id] = self._actions_of.get(symbol, ())
        if found.minutes:
            return instrument, MinuteSeries(found.minutes, self.sessions)
        return instrument, DailySeries(symbol, self._known(found.daily))

    def _known(self, bars: Sequence[DailyBar]) -> list[DailyBar]:
        """Return the bars of days on which the exchange is open and that are wanted."""
        days = set(self._days)
        return [bar for bar in bars if bar.day in days]

    def _named(self, instrument: Instrument, synthetic: Series) -> tuple[Instrument, Series]:
        """Return an index or a pair with the prices of its file, if there is one."""
        folder = self._settings.folder if self._settings.market == "folder" else None
        name = instrument.local_symbol
        if folder is None or not any((folder / f"{name}{suffix}").is_file() for suffix in (".csv", ".parquet")):
            return instrument, synthetic
        found = read_prices(price_file(folder, name), self._zone, instrument.unit)
        if not found.daily:
            raise ConfigError(f"simulator: {name} in {folder} has minute bars; indices and pairs need daily bars")
        return instrument, DailySeries(name, found.daily)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(
            f"simulator: minutes_zone is {name!r}, which is no time zone; like America/New_York"
        ) from None


def _weekdays(first: date, last: date) -> list[date]:
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


def _sessions(first: date, last: date) -> list[Session]:
    found: list[Session] = []
    for day in calendar.sessions(first, last):
        hours = calendar.session_hours(day)
        if hours is not None:
            found.append(Session(day, *hours))
    return found


def replay_bars(symbol: str) -> list[DailyBar]:
    """Return the unadjusted daily bars of `bokeh_sampledata`, 2000 to 2013. Raises ConfigError for another symbol."""
    if symbol not in REPLAY_SYMBOLS:
        raise ConfigError(
            f"simulator: symbols contains {symbol!r}, which market = replay does not have; "
            f"it has {', '.join(REPLAY_SYMBOLS)}. Use market = synthetic or folder for others"
        )
    # imported by name since the package ships no types, and only when asked for since it reads its file on import
    data: dict[str, list[Any]] = getattr(importlib.import_module("bokeh_sampledata.stocks"), symbol)
    rows = zip(*(data[name] for name in _COLUMNS), strict=True)
    return [
        DailyBar(date.fromisoformat(day), _cents(opening), _cents(high), _cents(low), _cents(close), int(volume))
        for day, opening, high, low, close, volume in rows
    ]


def _cents(dollars: float) -> int:
    """Return a price in whole cents; the few prices with more decimals are rounded half to even."""
    return int((Decimal(str(dollars)) * 100).to_integral_value(ROUND_HALF_EVEN))
