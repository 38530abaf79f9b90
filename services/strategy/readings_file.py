"""Readings for a backtest, from a CSV file with the columns time, symbol, component and score.

    time,symbol,component,score
    2012-05-18T09:00:00-04:00,AAPL,sentiment,0.7

`time` is when the reading could be known, with its zone, `component` is sentiment or options_flow, `score` 0 to 1.
"""

import csv
from pathlib import Path

from pydantic import ValidationError

from services.strategy.core.confluence import Readings
from shared.config import ConfigError
from shared.messages.sentiment import SentimentReading

_COLUMNS = ("time", "symbol", "component", "score")


def read_readings(path: Path) -> Readings:
    """All readings of a file.

    Raises:
        ConfigError: naming file, line, column, value and what to do about it.
    """
    readings = Readings()
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:  # spreadsheets put a byte order mark first
            table = csv.DictReader(lines, skipinitialspace=True)
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}, line 1: column {missing[0]!r} is missing; needed: {', '.join(_COLUMNS)}")
            for row in table:
                readings.add(_reading(f"{path}, line {table.line_num}", path.name, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    return readings


def _reading(place: str, source: str, row: dict[str, str | None]) -> SentimentReading:
    time, symbol, component, score = ((row[name] or "").strip() for name in _COLUMNS)
    if not symbol:
        raise ConfigError(f"{place}, symbol: '' is no symbol; name one, like AAPL")
    try:
        return SentimentReading.model_validate(
            {"observed_at": time, "symbol": symbol, "component": component, "score": score, "source": source}
        )
    except ValidationError as error:
        detail = error.errors()[0]
        column = "time" if detail["loc"][0] == "observed_at" else detail["loc"][0]
        raise ConfigError(f"{place}, {column}: {detail['input']!r} is not allowed: {detail['msg']}") from error
