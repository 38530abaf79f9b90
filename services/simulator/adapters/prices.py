"""Loads the market that the settings describe: real daily bars of a package, CSV files, or a synthetic one."""

import csv
import importlib
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

from services.simulator.config import Settings
from services.simulator.core.market import DailyBar, Market, Session
from services.simulator.core.synthetic import synthetic_bars
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
    first = settings.start - timedelta(days=settings.warmup_days)
    sessions = _sessions(first, settings.end + timedelta(days=_DAYS_KNOWN_AHEAD))
    bars = {symbol: _bars(settings, symbol, [session.day for session in sessions]) for symbol in symbols}
    try:
        return Market(sessions, bars, settings.start, settings.end, settings.tick_seconds, settings.spread)
    except ValueError as error:
        raise ConfigError(f"simulator: {error}") from error


def _sessions(first: date, last: date) -> list[Session]:
    found: list[Session] = []
    for day in calendar.sessions(first, last):
        hours = calendar.session_hours(day)
        if hours is not None:
            found.append(Session(day, *hours))
    return found


def _bars(settings: Settings, symbol: str, days: Sequence[date]) -> list[DailyBar]:
    if settings.market == "synthetic":
        return synthetic_bars(symbol, days, settings.seed, settings.drift, settings.volatility)
    if settings.market == "csv":
        assert settings.csv_folder is not None  # noqa: S101 - the settings checked it
        return read_csv(settings.csv_folder / f"{symbol}.csv")
    return replay_bars(symbol)


def replay_bars(symbol: str) -> list[DailyBar]:
    """Return the unadjusted daily bars of `bokeh_sampledata`, 2000 to 2013. Raises ConfigError for another symbol."""
    if symbol not in REPLAY_SYMBOLS:
        raise ConfigError(
            f"simulator: symbols contains {symbol!r}, which market = replay does not have; "
            f"it has {', '.join(REPLAY_SYMBOLS)}. Use market = synthetic or csv for others"
        )
    # imported by name since the package ships no types, and only when asked for since it reads its file on import
    data: dict[str, list[Any]] = getattr(importlib.import_module("bokeh_sampledata.stocks"), symbol)
    rows = zip(*(data[name] for name in _COLUMNS), strict=True)
    return [
        DailyBar(date.fromisoformat(day), _price(opening), _price(high), _price(low), _price(close), int(volume))
        for day, opening, high, low, close, volume in rows
    ]


def _price(dollars: float) -> int:
    return _cents(Decimal(str(dollars)))


def _cents(price: Decimal) -> int:
    """Return a price in whole cents; the few prices with more decimals are rounded half to even."""
    return int((price * 100).to_integral_value(ROUND_HALF_EVEN))


def read_csv(path: Path) -> list[DailyBar]:
    """Return the daily bars of one file with the columns date (YYYY-MM-DD), open, high, low, close and volume.

    Raises ConfigError naming file, line, column, value and what is wrong with it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = tuple(name.strip().lower() for name in reader.fieldnames or ())
            missing = [name for name in _COLUMNS if name not in header]
            if missing:
                raise ConfigError(f"{path}, line 1: column {missing[0]!r} is missing; needed: {', '.join(_COLUMNS)}")
            reader.fieldnames = list(header)
            bars = [_csv_bar(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    for earlier, later in pairwise(bars):
        if later.day <= earlier.day:
            raise ConfigError(f"{path}: date {later.day} comes after {earlier.day}; sort the rows, one per date")
    return bars


def _csv_bar(path: Path, line: int, row: dict[str, str | None]) -> DailyBar:
    day_text = (row["date"] or "").strip()
    try:
        day = date.fromisoformat(day_text)
    except ValueError:
        raise ConfigError(f"{path}, line {line}, date: {day_text!r} is not a date like 2010-01-04") from None
    numbers = {name: _csv_number(path, line, name, row[name]) for name in _COLUMNS[1:]}
    bar = DailyBar(
        day=day,
        open=_cents(numbers["open"]),
        high=_cents(numbers["high"]),
        low=_cents(numbers["low"]),
        close=_cents(numbers["close"]),
        volume=int(numbers["volume"]),
    )
    if not (bar.low <= min(bar.open, bar.close) and bar.high >= max(bar.open, bar.close)):
        raise ConfigError(f"{path}, line {line}, high and low: they do not enclose open and close; correct the row")
    if bar.low < 1:
        raise ConfigError(f"{path}, line {line}, low: {row['low']!r} is below 0.01; prices must be positive")
    return bar


def _csv_number(path: Path, line: int, column: str, text: str | None) -> Decimal:
    try:
        number = Decimal((text or "").strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise ConfigError(f"{path}, line {line}, {column}: {text!r} is not a number of 0 or more")
    return number
