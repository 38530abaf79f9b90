"""Price files: what they may look like, and what is said about bad ones."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars
import pytest

from services.simulator.adapters.prices import load_market
from services.simulator.adapters.sources import price_file, read_actions, read_prices
from services.simulator.config import Settings
from services.simulator.core.bars import DailyBar
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.market import Market
from shared.config import ConfigError

NEW_YORK = ZoneInfo("America/New_York")
DAILY = "Date,Open,High,Low,Close,Volume\n"
MINUTES = "time,open,high,low,close,volume\n"


def csv_file(folder: Path, text: str, name: str = "AAA.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_daily_csv(tmp_path: Path) -> None:
    found = read_prices(csv_file(tmp_path, DAILY + "2010-01-04,10,11.5,9.99,10.25,1000\n"), NEW_YORK)
    assert found.daily == [DailyBar(date(2010, 1, 4), 1000, 1150, 999, 1025, 1000)]
    assert (found.unit, found.minutes) == (Decimal("0.01"), {})


def test_daily_csv_with_other_columns_and_times_at_midnight(tmp_path: Path) -> None:
    text = "time,open,high,low,close,volume,adj_factor\n1998-01-02T00:00:00,97.31,97.53,96.53,97.36,2150000,0.65\n"
    found = read_prices(csv_file(tmp_path, text), NEW_YORK)
    assert found.daily == [DailyBar(date(1998, 1, 2), 9731, 9753, 9653, 9736, 2150000)]


def test_penny_stock_is_read_in_smaller_units(tmp_path: Path) -> None:
    found = read_prices(csv_file(tmp_path, DAILY + "2010-01-04,0.51,1.2,0.5012,0.6,1000\n"), NEW_YORK)
    assert found.unit == Decimal("0.0001")
    assert found.daily[0] == DailyBar(date(2010, 1, 4), 5100, 12000, 5012, 6000, 1000)


def test_minute_csv_is_cut_into_days_of_its_zone(tmp_path: Path) -> None:
    rows = (
        "2010-01-04T09:30:00,10,10.5,9.9,10.2,500\n2010-01-04T09:31:00,10.2,10.3,10.1,10.2,300\n"
        "2010-01-05T01:00:00Z,10.2,10.2,10.2,10.2,1\n2010-01-05T09:30:00,11,11,11,11,7\n"
    )
    found = read_prices(csv_file(tmp_path, MINUTES + rows), NEW_YORK)
    assert list(found.minutes) == [date(2010, 1, 4), date(2010, 1, 5)]
    day = found.minutes[date(2010, 1, 4)]
    assert day.seconds.tolist() == [
        int(datetime(2010, 1, 4, *clock, tzinfo=NEW_YORK).timestamp()) for clock in ((9, 30), (9, 31), (20, 0))
    ]
    assert (day.open.tolist(), day.volume.tolist()) == ([1000, 1020, 1020], [500, 300, 1])


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    daily = polars.DataFrame(
        {"date": [date(2010, 1, 4)], "open": [10.0], "high": [11.5], "low": [9.99], "close": [10.25], "volume": [1000]}
    )
    daily.write_parquet(tmp_path / "AAA.parquet")
    assert read_prices(tmp_path / "AAA.parquet", NEW_YORK).daily == [
        DailyBar(date(2010, 1, 4), 1000, 1150, 999, 1025, 1000)
    ]
    times = [datetime(2010, 1, 4, 14, 30 + minute, tzinfo=UTC) for minute in range(3)]
    prices = {name: [10.0, 10.0, 10.0] for name in ("open", "high", "low", "close", "volume")}
    polars.DataFrame({"time": times, **prices}).write_parquet(tmp_path / "BBB.parquet")
    found = read_prices(tmp_path / "BBB.parquet", NEW_YORK)
    assert found.minutes[date(2010, 1, 4)].seconds.tolist() == [int(time.timestamp()) for time in times]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,open\n", "line 1: column 'high' is missing; needed: date, open"),
        ("open,high\n", "line 1: column 'date' is missing"),
        (DAILY, "has no rows"),
        (DAILY + "4/1/2010,1,1,1,1,1\n", "line 2, date: '4/1/2010' is not a date like 2010-01-04"),
        (MINUTES + "soon,1,1,1,1,1\n", "line 2, time: 'soon' is not a time like 2010-01-04T09:30:00"),
        (DAILY + "2010-01-04,1,1,1,1,1\n2010-01-05,1,x,1,1,1\n", "line 3, high: 'x' is not a number"),
        (DAILY + "2010-01-04,1,1,1,1\n", "line 2, volume: None is not a number"),
        (DAILY + "2010-01-04,1,1,1,1,-1\n", "line 2, volume: '-1' is not a number of 0 or more"),
        (DAILY + "2010-01-04,1,nan,1,1,1\n", "line 2, high: 'nan' is not a number"),
        (DAILY + "2010-01-04,5,6,5.5,5.7,1\n", "line 2, high and low: they do not enclose"),
        (DAILY + "2010-01-04,0,1,0,1,1\n", "line 2, low: 0.0 is below 0.0001"),
        (DAILY + "2010-01-05,1,1,1,1,1\n2010-01-04,1,1,1,1,1\n", "line 3: date 2010-01-04 comes after 2010-01-05"),
    ],
)
def test_errors_name_file_line_column_and_value(tmp_path: Path, text: str, message: str) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_prices(path, NEW_YORK)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither NONE\.csv nor NONE\.parquet"):
        price_file(tmp_path, "NONE")
    (tmp_path / "BAD.parquet").write_bytes(b"not parquet")
    with pytest.raises(ConfigError, match=r"BAD\.parquet cannot be read"):
        read_prices(price_file(tmp_path, "BAD"), NEW_YORK)
    (tmp_path / "EMPTY.csv").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"EMPTY\.csv cannot be read"):
        read_prices(price_file(tmp_path, "EMPTY"), NEW_YORK)
    (tmp_path / "BYTES.csv").write_bytes(b"date,open\n\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"BYTES\.csv"):
        read_prices(price_file(tmp_path, "BYTES"), NEW_YORK)


def test_actions(tmp_path: Path) -> None:
    text = "symbol,date,kind,value\nAAA,2010-06-01,split,2\nAAA,2010-03-01,dividend,0.25\nBBB,2010-03-01,dividend,1\n"
    found = read_actions(csv_file(tmp_path, text, "actions.csv"))
    assert found["AAA"] == [
        CorporateAction(date(2010, 3, 1), ActionKind.DIVIDEND, Decimal("0.25")),
        CorporateAction(date(2010, 6, 1), ActionKind.SPLIT, Decimal(2)),
    ]
    assert list(found) == ["AAA", "BBB"]
    assert read_actions(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("AAA,2010-06-01,merger,2", "line 2, kind: 'merger' is not dividend or split"),
        ("AAA,2010-06-01,split,0", "line 2, value: '0' is not a number above 0"),
        ("AAA,2010-06-01,split,two", "line 2, value: 'two' is not a number above 0"),
        ("AAA,June,split,2", "line 2, date: 'June' is not a date"),
    ],
)
def test_bad_actions_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_actions(csv_file(tmp_path, f"symbol,date,kind,value\n{row}\n", "actions.csv"))


def folder_market(folder: Path, symbols: Sequence[str], **more: object) -> Market:
    settings = Settings(
        market="folder", folder=folder, start=date(2010, 1, 4), end=date(2010, 1, 5), warmup_days=5, **more
    )  # type: ignore[arg-type]
    return load_market(settings, symbols)


def test_market_of_minute_bars(tmp_path: Path) -> None:
    rows = [
        f"2010-01-04T{9 + (30 + m) // 60:02}:{(30 + m) % 60:02}:00,{100 + m},{101 + m},{99 + m},{100 + m},60\n"
        for m in range(390)
    ]
    csv_file(tmp_path, MINUTES + "".join(["2010-01-04T08:00:00,90,95,90,95,40\n", *rows]))
    market = folder_market(tmp_path, ["AAA"], tick_seconds=5, extended_hours=True)
    (listed,) = market.catalogue.listed
    bar = market.daily_bar(listed.contract_id, date(2010, 1, 4))
    assert bar == DailyBar(date(2010, 1, 4), 10000, 49000, 9900, 48900, 390 * 60)
    tape = market.tape(listed.contract_id, date(2010, 1, 4))
    assert tape is not None
    first, final = tape.regular
    inside = tape.last[first : final + 1]
    assert (inside[0], inside.max(), inside.min(), inside[-1]) == (10000, 49000, 9900, 48900)
    assert tape.volume[-1] - tape.volume[first] == 390 * 60
    assert tape.volume[first] == 40, "what traded before the open"
    assert (np.diff(tape.volume) >= 0).all()
    assert market.tape(listed.contract_id, date(2010, 1, 5)) is None
    before = market.quote(listed.contract_id, datetime(2010, 1, 4, 13, 2, tzinfo=UTC))
    assert before is not None
    assert before.last == 95, "the last price, until there is another"


def test_market_of_daily_files_with_actions_and_an_index(tmp_path: Path) -> None:
    csv_file(tmp_path, DAILY + "2010-01-04,10,11.5,9.99,10.25,1000\n2010-01-05,5,5.5,4.99,5.25,1000\n")
    csv_file(tmp_path, DAILY + "2010-01-04,1115,1120,1110,1118,5\n2010-01-05,1118,1118,1118,1118,5\n", "SPX.csv")
    csv_file(tmp_path, "symbol,date,kind,value\nAAA,2010-01-05,split,2\n", "actions.csv")
    market = folder_market(tmp_path, ["AAA"], indices=("SPX",), options=False)
    stock, index = market.catalogue.listed
    assert market.actions(stock.contract_id) == [CorporateAction(date(2010, 1, 5), ActionKind.SPLIT, Decimal(2))]
    assert market.actions(index.contract_id) == ()
    quote = market.quote(index.contract_id, market.last_close)
    assert quote is not None
    assert (quote.open, quote.last, quote.bid, quote.bid_size) == (1118, 1118, 1118, 0)
    assert not market.catalogue.has_options(stock.contract_id)


def test_minute_bars_of_an_index_are_refused(tmp_path: Path) -> None:
    csv_file(tmp_path, DAILY + "2010-01-04,10,11.5,9.99,10.25,1000\n")
    csv_file(tmp_path, MINUTES + "2010-01-04T09:30,1,1,1,1,1\n2010-01-04T09:31,1,1,1,1,1\n", "SPX.csv")
    with pytest.raises(ConfigError, match=r"SPX in .* has minute bars"):
        folder_market(tmp_path, ["AAA"], indices=("SPX",))
