"""Bars of a backtest from every source but the bar store: where they begin and end, and what is said of wrong ones."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from services.backtest.adapters.histories import data_hash, holes, load_histories
from services.backtest.config import RunConfig
from services.backtest.core.model import History
from services.backtest.live import LiveSettings
from shared.config import CONFIG_FOLDER, ConfigError
from shared.types import Timeframe

CONFIG = Path(__file__).parents[3] / "config"
LIVE = LiveSettings.load({CONFIG_FOLDER: str(CONFIG)})
HEADER = "time,open,high,low,close,volume"
MINUTES = {"name": "minutes", "strategy": "any", "timeframe": "1 min"}
DAYS = """date,open,high,low,close,volume
2012-06-01,10,11,9,10.5,1000
2012-06-02,10,11,9,10.5,1000
2012-06-04,10.5,12,10,11.25,2000
2012-06-05,11,12,10,11,3000
"""


def config(place: str | Path, *timeframes: Timeframe, **changes: Any) -> RunConfig:
    instances = [
        {"name": str(timeframe), "strategy": "any", "timeframe": timeframe} for timeframe in timeframes or ("1 day",)
    ]
    values: dict[str, Any] = {
        "strategies": instances, "symbols": ["ONE"], "first": date(2012, 6, 4), "last": date(2012, 6, 30),
        "fills": "bars", "source": str(place), "live": LIVE,
    }  # fmt: skip
    return RunConfig.model_validate(values | changes)


def minutes(folder: Path, rows: int = 60, seconds: int = 60, start: str = "2012-06-04T13:30") -> None:
    """Bars from the session's open on, the first with prices around 100, each a cent dearer; 10 shares each."""
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()
    times = [datetime.fromtimestamp(begin + seconds * row, UTC).isoformat() for row in range(rows)]
    prices = [f"{100 + row / 100},{101 + row / 100},{99 + row / 100},{100 + row / 100},10" for row in range(rows)]
    lines = [f"{time},{price}" for time, price in zip(times, prices, strict=True)]
    (folder / "ONE.csv").write_text("\n".join([HEADER, *lines]))


def moments(times: np.ndarray[Any, np.dtype[np.datetime64]]) -> list[str]:
    return [str(time)[:16] for time in times]


@pytest.mark.parametrize("source", ["replay", "synthetic"])
def test_the_simulators_days_with_those_before_the_first(source: str) -> None:
    found = load_histories(config(source, symbols=["AAPL"], benchmark="IBM"))
    assert list(found) == [Timeframe.DAY]
    assert list(found[Timeframe.DAY]) == ["AAPL", "IBM"]
    history = found[Timeframe.DAY]["AAPL"]
    assert moments(history.start[[0, -1]]) == ["2010-06-07T13:30", "2012-06-29T13:30"]
    assert moments(history.bars.end[[0, -1]]) == ["2010-06-07T20:00", "2012-06-29T20:00"]
    if source == "replay":
        assert (history.bars.open[-1], history.bars.close[-1], history.bars.volume[-1]) == (578.0, 584.0, 15_053_600)


def test_days_from_a_file_leave_out_those_without_a_session_and_the_ones_after_the_last(tmp_path: Path) -> None:
    (tmp_path / "ONE.csv").write_text(DAYS)
    history = load_histories(config(tmp_path, last=date(2012, 6, 4)))[Timeframe.DAY]["ONE"]
    assert moments(history.start) == ["2012-06-01T13:30", "2012-06-04T13:30"]
    assert history.bars.close.tolist() == [10.5, 11.25]


def test_the_same_from_parquet(tmp_path: Path) -> None:
    (tmp_path / "ONE.csv").write_text(DAYS)
    from_csv = load_histories(config(tmp_path))[Timeframe.DAY]["ONE"]
    polars.read_csv(tmp_path / "ONE.csv", try_parse_dates=True).write_parquet(tmp_path / "ONE.parquet")
    (tmp_path / "ONE.csv").unlink()
    assert data_hash([load_histories(config(tmp_path))[Timeframe.DAY]["ONE"]]) == data_hash([from_csv])


def test_minutes_are_joined_to_every_longer_bar_that_is_wanted(tmp_path: Path) -> None:
    minutes(tmp_path, rows=1440 + 390)  # a day, a night, and the next day up to its close
    found = load_histories(config(tmp_path, Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY))
    lengths = {timeframe: len(of["ONE"].bars) for timeframe, of in found.items()}
    assert lengths == {"1 day": 1, "1 hour": 30, "1 min": 1830}  # the oldest may be incomplete
    day = found[Timeframe.DAY]["ONE"]
    assert moments(day.start) + moments(day.bars.end) == ["2012-06-05T13:30", "2012-06-05T20:00"]
    assert (day.bars.open[0], day.bars.close[0], day.bars.volume[0]) == (103.9, 118.29, 14_400)


def test_a_file_of_longer_bars(tmp_path: Path) -> None:
    minutes(tmp_path, rows=12, seconds=300)
    found = load_histories(config(tmp_path, Timeframe.FIVE_MINUTES, Timeframe.FIFTEEN_MINUTES))
    assert moments(found[Timeframe.FIVE_MINUTES]["ONE"].bars.end[:2]) == ["2012-06-04T13:35", "2012-06-04T13:40"]
    quarters = found[Timeframe.FIFTEEN_MINUTES]["ONE"]
    assert moments(quarters.start[:2]) == ["2012-06-04T13:45", "2012-06-04T14:00"]  # the oldest may be incomplete
    assert quarters.bars.open[0] == 100.03
    assert quarters.bars.high[0] == 101.05
    assert quarters.bars.volume[0] == 30


@pytest.mark.parametrize(
    ("content", "changes", "told"),
    [
        (DAYS.replace("11.25", "x"), {}, "ONE.csv, line 4, close: 'x' is not a number"),
        (DAYS.replace("-05,11,12,10", "-05,11,12,13"), {}, "line 5, high and low"),
        (DAYS, {"symbols": ["TWO"]}, "neither TWO.csv nor TWO.parquet"),
        (DAYS, {"first": date(2011, 1, 3), "last": date(2011, 12, 30)}, "no bar of ONE until last = 2011-12-30"),
        (DAYS, {"strategies": [MINUTES]}, "no bars of ONE of 1 min; it has 1 day"),
        (DAYS, {"source": "nowhere"}, "source = 'nowhere' is no folder; choose replay, synthetic, database"),
        (f"{HEADER}\n2012-06-04T10:00,9,9,9,9,5\n2012-06-04T10:07,9,9,9,9,5\n", {}, "its bars are 420 seconds apart"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, content: str, changes: dict[str, Any], told: str) -> None:
    (tmp_path / "ONE.csv").write_text(content)
    with pytest.raises(ConfigError) as error:
        load_histories(config(tmp_path, **changes))
    assert told in str(error.value)


def test_replay_without_the_symbol() -> None:
    with pytest.raises(ConfigError, match="market = replay does not have"):
        load_histories(config("replay", symbols=["ZZZ"]))


def test_the_hash_tells_every_change_and_knows_no_order() -> None:
    one, two = load_histories(config("replay", symbols=["AAPL", "IBM"]))[Timeframe.DAY].values()
    assert data_hash([one, two]) == data_hash([two, one])
    seen = {data_hash([one, two]), data_hash([one])}
    for column in ("open", "high", "low", "close", "volume", "end"):
        changed = getattr(one.bars, column).copy()
        changed[17] += 1
        bars = type(one.bars)(**{name: getattr(one.bars, name) for name in one.bars.__slots__} | {column: changed})
        seen.add(data_hash([History(one.symbol, one.timeframe, one.start, bars), two]))
    assert len(seen) == 8


def test_sessions_without_a_bar_are_told(tmp_path: Path) -> None:
    (tmp_path / "ONE.csv").write_text(DAYS + "2012-06-08,11,12,10,11,3000\n")
    (tmp_path / "TWO.csv").write_text(DAYS)
    settings = config(tmp_path, symbols=["ONE", "TWO"])
    (told,) = holes(settings, load_histories(settings)[Timeframe.DAY].values())
    assert told.startswith("ONE has no 1 day bar on 2 of 5 sessions, the first of them 2012-06-06: it does not trade")
