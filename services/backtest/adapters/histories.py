"""Reads the bars that a backtest's settings ask for, with the ones before its first day for indicators to warm up on.

"replay" and "synthetic" are the simulator's own daily bars, from `warmup_days` of its settings before the first day. A
folder's files, and the bar store, give all there is. Longer bars than a source has are joined from its shorter ones.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, select

from services.backtest.adapters.market import simulator_settings
from services.backtest.config import RunConfig
from services.backtest.core.model import History
from services.backtest.core.returns import new_york_dates
from services.backtest.live import LiveSettings
from services.simulator.adapters.prices import load_market
from services.simulator.adapters.sources import price_file, read_prices
from services.simulator.core.bars import DailyBar
from services.simulator.core.minutes import MinuteDay
from services.strategy.core.bars import SECONDS, Bars, Floats, Times, period_ends
from shared.calendar import NEW_YORK, session_hours, sessions
from shared.config import Common, ConfigError, load
from shared.db.engine import engine
from shared.db.tables import bars as stored_bars
from shared.types import Timeframe

_MICROSECONDS = 1_000_000


def load_histories(config: RunConfig) -> dict[Timeframe, dict[str, History]]:
    """The bars of every symbol that is traded or compared with, on every timeframe of the strategies.

    Raises:
        ConfigError: a symbol has no bars by the last day, or not on a timeframe, or a file is not right.
    """
    named = [symbol for instance in config.strategies for symbol in instance.symbols]
    compared = [config.benchmark] if config.benchmark else []
    symbols = list(dict[str, None].fromkeys([*config.symbols, *named, *compared]))
    if config.source in ("replay", "synthetic"):
        found = _simulated(config, symbols)
    else:
        found = _stored(symbols) if config.source == "database" else _files(config, symbols)
    return {
        timeframe: {symbol: _history(config, symbol, timeframe, found[symbol]) for symbol in symbols}
        for timeframe in config.timeframes
    }


def data_hash(histories: Iterable[History]) -> str:
    """SHA-256 over every bar, as hexadecimal digits; the order of the histories does not matter."""
    digest = hashlib.sha256()
    for history in sorted(histories, key=lambda history: (history.symbol, history.timeframe)):
        digest.update(f"{history.symbol} {history.timeframe} {len(history.bars)}\n".encode())
        bars = history.bars
        for column in (history.start, bars.end, bars.open, bars.high, bars.low, bars.close, bars.volume):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def holes(config: RunConfig, histories: Iterable[History]) -> tuple[str, ...]:
    """A sentence about each history that has no bar on some sessions between its first and its last that trade."""
    return tuple(filter(None, (_hole(config, history) for history in histories)))


def _hole(config: RunConfig, history: History) -> str:
    days = new_york_dates(history.start)
    days = days[days >= np.datetime64(config.first)]
    wanted = np.array(sessions(*days[[0, -1]].tolist()) if len(days) else [], dtype="datetime64[D]")
    missing = np.setdiff1d(wanted, days)
    if not len(missing):
        return ""
    return (
        f"{history.symbol} has no {history.timeframe} bar on {len(missing)} of {len(wanted)} sessions, the first of"
        f" them {missing[0]}: it does not trade then, and days without any bar count for no time in yearly figures such"
        " as CAGR."
    )


def _history(config: RunConfig, symbol: str, timeframe: Timeframe, found: Mapping[Timeframe, History]) -> History:
    """The bars of a timeframe up to the last day, as they are or joined from the longest ones that are shorter."""
    if timeframe in found:
        history = found[timeframe]
    else:
        shorter = [base for base in found if _length(base) < _length(timeframe)]
        if not shorter:
            has = ", ".join(found) or "none at all"
            raise ConfigError(
                f"source = {config.source} has no bars of {symbol} of {timeframe}; it has {has}. Take another timeframe"
                " for the strategy, or another source"
            )
        history = _joined(found[max(shorter, key=_length)], timeframe)
    beyond = datetime.combine(config.last + timedelta(days=1), datetime.min.time(), NEW_YORK)
    count = int(np.searchsorted(history.start, _moment(beyond)))
    if not count:
        raise ConfigError(
            f"source = {config.source} has no bar of {symbol} until last = {config.last}; move the dates, or take the"
            " symbol out"
        )
    return History(symbol, timeframe, history.start[:count], history.bars.first(count))


def _length(timeframe: Timeframe) -> int:
    return SECONDS.get(timeframe, 86_400)


def _joined(base: History, timeframe: Timeframe) -> History:
    """Longer bars; each begins with the first of those that it is made of, a day with its session."""
    bars = base.bars.resample(timeframe)
    start = base.start[np.searchsorted(period_ends(base.bars.end, timeframe), bars.end)]
    if timeframe is Timeframe.DAY:
        hours = [session_hours(end.astimezone(NEW_YORK).date()) for end in _aware(bars.end)]
        start = np.array([_moment(opening) for opening, _ in filter(None, hours)], dtype="datetime64[us]")
    return History(base.symbol, timeframe, start, bars)


def _simulated(config: RunConfig, symbols: Sequence[str]) -> dict[str, dict[Timeframe, History]]:
    wanted = {"symbols": symbols, "options": False, "indices": (), "futures": (), "currencies": ()}
    settings = simulator_settings(config, config.live or LiveSettings.load()).model_copy(update=wanted)
    market = load_market(settings, symbols)
    found: dict[str, dict[Timeframe, History]] = {}
    for listed in market.catalogue.listed:
        series = market.series(listed.contract_id)
        bars = [bar for bar in map(series.bar, series.days) if bar is not None]
        found[listed.local_symbol] = {Timeframe.DAY: _daily(listed.local_symbol, bars, listed.unit)}
    return found


def _files(config: RunConfig, symbols: Sequence[str]) -> dict[str, dict[Timeframe, History]]:
    folder = Path(config.source)
    if not folder.is_dir():
        raise ConfigError(
            f"source = {config.source!r} is no folder; choose replay, synthetic, database, or a folder of SYMBOL.csv"
            " or SYMBOL.parquet files"
        )
    zone = ZoneInfo((config.live or LiveSettings.load()).simulator.minutes_zone)
    return {symbol: _file(price_file(folder, symbol), symbol, zone) for symbol in symbols}


def _file(path: Path, symbol: str, zone: ZoneInfo) -> dict[Timeframe, History]:
    prices = read_prices(path, zone)
    if not prices.minutes:
        return {Timeframe.DAY: _daily(symbol, prices.daily, prices.unit)}
    days = list(prices.minutes.values())
    seconds = min(day.length for day in days)
    timeframe = next((found for found, length in SECONDS.items() if length == seconds), None)
    if timeframe is None:
        raise ConfigError(
            f"{path}: its bars are {seconds} seconds apart; it needs bars of one of {', '.join(SECONDS)} or of days"
        )
    return {timeframe: _intraday(symbol, timeframe, days, prices.unit)}


def _daily(symbol: str, bars: Sequence[DailyBar], unit: Decimal) -> History:
    """Bars of the days on which the exchange was open."""
    rows = [(session_hours(bar.day), bar) for bar in bars]
    known = [(*hours, bar) for hours, bar in rows if hours is not None]
    start = np.array([_moment(opening) for opening, _, _ in known], dtype="datetime64[us]")
    end = np.array([_moment(close) for _, close, _ in known], dtype="datetime64[us]")
    table = np.array([(bar.open, bar.high, bar.low, bar.close) for _, _, bar in known], dtype=np.int64).reshape(-1, 4)
    volume = np.array([bar.volume for _, _, bar in known], dtype=np.float64)
    return History(symbol, Timeframe.DAY, start, _bars(end, table.T, unit, volume))


def _intraday(symbol: str, timeframe: Timeframe, days: Sequence[MinuteDay], unit: Decimal) -> History:
    start = np.concatenate([day.seconds for day in days]).astype("datetime64[s]").astype("datetime64[us]")
    prices = [np.concatenate([getattr(day, name) for day in days]) for name in ("open", "high", "low", "close")]
    volume = np.concatenate([day.volume for day in days]).astype(np.float64)
    end = (start + np.timedelta64(SECONDS[timeframe], "s")).astype("datetime64[us]")
    return History(symbol, timeframe, start, _bars(end, prices, unit, volume))


def _bars(end: Times, prices: Iterable[Any], unit: Decimal, volume: Floats) -> Bars:
    """Prices in whole units as USD. They are divided, since 0.01 is no float, and what is multiplied by it is none."""
    opening, high, low, close = (np.ascontiguousarray(column) / float(1 / unit) for column in prices)
    return Bars(end, opening, high, low, close, volume)


def _stored(symbols: Sequence[str]) -> dict[str, dict[Timeframe, History]]:
    database = engine(load(Common).database_url)
    try:
        with database.connect() as connection:
            return {symbol: _rows(connection, symbol) for symbol in symbols}
    finally:
        database.dispose()


def _rows(connection: Connection, symbol: str) -> dict[Timeframe, History]:
    table = stored_bars.c
    columns = (table.start, table.end, table.open, table.high, table.low, table.close, table.volume)
    timeframes = select(table.timeframe).where(table.symbol == symbol).distinct()
    found: dict[Timeframe, History] = {}
    for timeframe in map(Timeframe, connection.execute(timeframes).scalars()):
        query = select(*columns).where(table.symbol == symbol, table.timeframe == timeframe).order_by(table.end)
        rows = connection.execute(query).all()
        start, end = (np.array([_moment(row[column]) for row in rows], dtype="datetime64[us]") for column in (0, 1))
        values = np.array([row[2:] for row in rows], dtype=np.float64)
        found[timeframe] = History(symbol, timeframe, start, Bars(end, *np.ascontiguousarray(values.T)))
    return found


def _moment(time: datetime) -> np.datetime64:
    return np.datetime64(round(time.timestamp() * _MICROSECONDS), "us")


def _aware(times: Times) -> list[datetime]:
    return [datetime.fromtimestamp(int(time) / _MICROSECONDS, NEW_YORK) for time in times.astype(np.int64)]
