"""Price files: CSV or Parquet, with daily or with minute bars.

A file SYMBOL.csv or SYMBOL.parquet has the columns open, high, low, close and volume, and either `date` (one row a
day) or `time` (one row a minute). Names may be in capitals, and further columns are ignored. A file `actions.csv` in
the same folder lists dividends and splits: symbol, date, kind, value.

Every error is a ConfigError that names file, row, column, value and what to do about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from services.simulator.core.bars import DailyBar
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.minutes import MinuteDay
from services.simulator.core.tape import IntegerArray
from shared.config import ConfigError

_PRICES = ("open", "high", "low", "close")
_CENT, _PENNY_UNIT = Decimal("0.01"), Decimal("0.0001")
_ACTION_COLUMNS = ("symbol", "date", "kind", "value")


@dataclass(frozen=True, slots=True)
class PriceFile:
    """A file's bars in `unit`s: 0.01 USD, or 0.0001 if the price was ever below 1 USD. Either sort may be empty."""

    unit: Decimal
    daily: Sequence[DailyBar]
    minutes: dict[date, MinuteDay]


def price_file(folder: Path, symbol: str) -> Path:
    """Return the file of a symbol in a folder."""
    for suffix in (".csv", ".parquet"):
        path = folder / f"{symbol}{suffix}"
        if path.is_file():
            return path
    raise ConfigError(
        f"simulator: symbols contains {symbol!r}, but {folder} has neither {symbol}.csv nor {symbol}.parquet; "
        "add the file or take the symbol out"
    )


def read_prices(path: Path, zone: ZoneInfo, unit: Decimal | None = None) -> PriceFile:
    """Return the bars of one file. `zone` is that of minute bars whose times name none; `unit` is found if not said."""
    table = _Table(path)
    clock = "time" if "time" in table.columns and "date" not in table.columns else "date"
    table.demand((clock, *_PRICES, "volume"))
    if not len(table):
        raise ConfigError(f"{path} has no rows; it needs at least one bar")
    numbers = {name: table.numbers(name) for name in (*_PRICES, "volume")}
    _check_bars(table, numbers)
    if unit is None:
        unit = _PENNY_UNIT if float(numbers["low"].min()) < 1 else _CENT
    scaled = [np.rint(numbers[name] / float(unit)).astype(np.int64) for name in _PRICES]
    volume = numbers["volume"].astype(np.int64)
    moments = table.moments(clock, zone)
    if clock == "time" and len({moment.date() for moment in moments}) < len(moments):
        return PriceFile(unit, (), _by_day(moments, scaled, volume))
    daily = [
        DailyBar(moment.date(), *(int(column[row]) for column in scaled), volume=int(volume[row]))
        for row, moment in enumerate(moments)
    ]
    return PriceFile(unit, daily, {})


def _by_day(moments: Sequence[datetime], prices: Sequence[IntegerArray], volume: IntegerArray) -> dict[date, MinuteDay]:
    """Cut minute bars at the dates of their zone."""
    days = np.asarray([moment.date().toordinal() for moment in moments])
    seconds = np.asarray([int(moment.timestamp()) for moment in moments], np.int64)
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    found: dict[date, MinuteDay] = {}
    for first, beyond in pairwise(edges):
        part = slice(first, beyond)
        opening, high, low, close = (column[part] for column in prices)
        found[moments[first].date()] = MinuteDay(seconds[part], opening, high, low, close, volume[part])
    return found


def _check_bars(table: "_Table", numbers: dict[str, Any]) -> None:
    inside = (numbers["low"] <= np.minimum(numbers["open"], numbers["close"])) & (
        numbers["high"] >= np.maximum(numbers["open"], numbers["close"])
    )
    table.refuse(~inside, "high and low: they do not enclose open and close; correct the row")
    lowest = numbers["low"]
    row = int(np.argmin(lowest))
    if lowest[row] < float(_PENNY_UNIT):
        raise ConfigError(f"{table.place(row)}, low: {lowest[row]} is below {_PENNY_UNIT}; prices must be positive")


def read_actions(path: Path) -> dict[str, list[CorporateAction]]:
    """Return the dividends and splits of each symbol, oldest first; none if there is no such file."""
    if not path.is_file():
        return {}
    table = _Table(path)
    table.demand(_ACTION_COLUMNS)
    found: dict[str, list[CorporateAction]] = {}
    for row, (symbol, day, kind, value) in enumerate(zip(*map(table.texts, _ACTION_COLUMNS), strict=True)):
        if kind not in list(ActionKind):
            raise ConfigError(f"{table.place(row)}, kind: {kind!r} is not dividend or split")
        amount = _positive(table, row, value)
        when = table.moment(row, "date", day, UTC).date()
        found.setdefault(symbol, []).append(CorporateAction(when, ActionKind(kind), amount))
    return {symbol: sorted(actions, key=lambda action: action.day) for symbol, actions in found.items()}


def _positive(table: "_Table", row: int, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise ConfigError(f"{table.place(row)}, value: {text!r} is not a number above 0")
    return amount


class _Table:
    """A file's columns, by name in small letters, and how to say where something in it is."""

    def __init__(self, path: Path) -> None:
        import polars  # it takes a while to import, and other markets do not need it

        self._path = path
        try:
            if path.suffix == ".parquet":
                frame = polars.read_parquet(path)
            else:
                frame = polars.read_csv(path, infer_schema=False, truncate_ragged_lines=True)
        except (OSError, polars.exceptions.PolarsError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        self._frame = frame.rename({name: name.strip().lower() for name in frame.columns})
        self.columns: Sequence[str] = self._frame.columns

    def __len__(self) -> int:
        return len(self._frame)

    def place(self, row: int) -> str:
        """Return how to find a row: its line in a CSV file, its number from 1 in a Parquet file."""
        where = f"line {row + 2}" if self._path.suffix == ".csv" else f"row {row + 1}"
        return f"{self._path}, {where}"

    def demand(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self.columns]
        if missing:
            start = f"{self._path}, line 1" if self._path.suffix == ".csv" else str(self._path)
            raise ConfigError(f"{start}: column {missing[0]!r} is missing; needed: {', '.join(names)}")

    def refuse(self, wrong: "np.ndarray[Any, np.dtype[np.bool_]]", why: str) -> None:
        """Raise for the first row that is wrong, if any is."""
        if wrong.any():
            raise ConfigError(f"{self.place(int(np.argmax(wrong)))}, {why}")

    def texts(self, name: str) -> list[str]:
        return [str(value or "").strip() for value in self._frame[name].to_list()]

    def numbers(self, name: str) -> Any:
        """Return a column as an array of floats of 0 or more."""
        import polars

        column = self._frame[name]
        if column.dtype == polars.String:
            column = column.str.strip_chars()
        values = column.cast(polars.Float64, strict=False).fill_null(float("nan")).to_numpy()
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            row = int(np.argmax(wrong))
            value = self._frame[name][row]
            raise ConfigError(f"{self.place(row)}, {name}: {value!r} is not a number of 0 or more")
        return values

    def moments(self, name: str, zone: ZoneInfo) -> list[datetime]:
        """Return a column's times, in order, in `zone`."""
        found = [self.moment(row, name, value, zone) for row, value in enumerate(self._frame[name].to_list())]
        for row, (earlier, later) in enumerate(pairwise(found), start=1):
            if later <= earlier:
                before, after = (_shown(moment, name) for moment in (earlier, later))
                place = self.place(row)
                raise ConfigError(f"{place}: {name} {after} comes after {before}; sort the rows, one per {name}")
        return found

    def moment(self, row: int, name: str, value: object, zone: Any) -> datetime:
        try:
            moment = _moment(value, zone)
        except (ValueError, TypeError):
            example = "2010-01-04" if name == "date" else "2010-01-04T09:30:00"
            raise ConfigError(f"{self.place(row)}, {name}: {value!r} is not a {name} like {example}") from None
        return moment


def _moment(value: object, zone: Any) -> datetime:
    """Return a date's midnight or a time, in `zone`. Raises ValueError or TypeError."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=zone)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value or "").strip())
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _shown(moment: datetime, name: str) -> str:
    return moment.date().isoformat() if name == "date" else moment.isoformat()
