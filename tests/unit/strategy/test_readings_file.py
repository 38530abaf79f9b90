"""Readings from a file, and what is said about a bad one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.strategy.readings_file import read_readings
from shared.config import ConfigError
from shared.messages.strategy import Component

HEAD = "time,symbol,component,score\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "readings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_readings_is_read(tmp_path: Path):
    text = (
        "\ufeffsymbol, time ,component,score,remark\n"
        "IBM,2012-05-18T09:00:00-04:00,sentiment,0.7,x\n\n"
        "IBM, 2012-05-18T12:00:00Z, options_flow, 1,\n"
    ).replace(", time ,", ",time,")
    readings = read_readings(written(tmp_path, text))
    first = readings.newest("IBM", Component.SENTIMENT, datetime(2012, 5, 18, 13, tzinfo=UTC))
    second = readings.newest("IBM", Component.OPTIONS_FLOW, datetime(2012, 5, 18, 13, tzinfo=UTC))
    assert first is not None
    assert (first.score, first.source, first.observed_at.hour) == (0.7, "readings.csv", 9)
    assert second is not None
    assert second.score == 1
    assert readings.newest("IBM", Component.SENTIMENT, datetime(2012, 5, 18, 12, 59, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: column 'time' is missing; needed: time, symbol, component, score"),
        ("time,symbol,score\n", "line 1: column 'component' is missing"),
        (HEAD + "yesterday,IBM,sentiment,0.5\n", "line 2, time: 'yesterday' is not allowed: .*valid datetime"),
        (HEAD + "2012-05-18T09:00:00,IBM,sentiment,0.5\n", "line 2, time: .*timezone"),
        (HEAD + "2012-05-18T09:00:00Z,IBM,sentiment,0.5\n2012-05-18T09:00:00Z,,sentiment,1\n", "line 3, symbol: ''"),
        (HEAD + "2012-05-18T09:00:00Z,IBM,technical,0.5\n", "line 2, component: 'technical' is not allowed"),
        (HEAD + "2012-05-18T09:00:00Z,IBM,sentiment,50\n", "line 2, score: '50' is not allowed"),
        (HEAD + "2012-05-18T09:00:00Z,IBM,sentiment\n", "line 2, score: '' is not allowed"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_line_column_value_and_reason(tmp_path: Path, text: str, complaint: str):
    with pytest.raises(ConfigError, match=f"readings.csv, {complaint}"):
        read_readings(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"readings.csv can't be read: .*No such file"):
        read_readings(tmp_path / "readings.csv")
