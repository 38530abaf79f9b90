"""Bars of a backtest from the bar store."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert

from services.backtest.adapters.histories import load_histories
from services.backtest.config import RunConfig
from shared.config import CONFIG_FOLDER, ConfigError
from shared.db.engine import engine
from shared.db.tables import bars
from shared.types import Timeframe

CONFIG = Path(__file__).parents[2] / "config"
OPEN = datetime(2012, 6, 4, 13, 30, tzinfo=UTC)


def store(database_url: str, timeframe: Timeframe, start: datetime, length: timedelta, price: str) -> None:
    values = dict.fromkeys(("open", "high", "low", "close"), price)
    row = values | {"symbol": "ONE", "timeframe": timeframe, "start": start, "end": start + length, "volume": "10.5"}
    database = engine(database_url)
    with database.begin() as connection:
        connection.execute(insert(bars).values(**row, message_id=UUID(int=0)))
    database.dispose()


def test_what_is_stored_is_read_and_minutes_are_joined(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_FOLDER, str(CONFIG))
    monkeypatch.setenv("MILLRACE_DATABASE_URL", database_url)
    for minute in reversed(range(12)):
        store(database_url, Timeframe.MINUTE, OPEN + timedelta(minutes=minute), timedelta(minutes=1), f"{100 + minute}")
    for day in range(3):
        store(database_url, Timeframe.DAY, OPEN + timedelta(days=day), timedelta(hours=6.5), f"{200 + day}.01")
    config = RunConfig.model_validate(
        {
            "strategies": [
                {"name": timeframe, "strategy": "any", "timeframe": timeframe} for timeframe in ("1 day", "5 mins")
            ],
            "symbols": ["ONE"],
            "first": date(2012, 6, 4),
            "last": date(2012, 6, 5),
            "fills": "bars",
            "source": "database",
        }
    )
    found = load_histories(config)
    assert found[Timeframe.DAY]["ONE"].bars.close.tolist() == [200.01, 201.01]
    assert found[Timeframe.DAY]["ONE"].start.tolist() == [
        OPEN.replace(tzinfo=None),
        (OPEN + timedelta(days=1)).replace(tzinfo=None),
    ]
    joined = found[Timeframe.FIVE_MINUTES]["ONE"].bars
    assert (joined.open.tolist(), joined.close.tolist(), joined.volume.tolist()) == ([105], [109], [52.5])
    with pytest.raises(ConfigError, match="no bars of TWO of 1 day; it has none at all"):
        load_histories(config.model_copy(update={"symbols": ("TWO",)}))
