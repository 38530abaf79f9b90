"""Price files and the journal."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from services.simulator.adapters.journal import Journal
from services.simulator.adapters.prices import load_market, read_csv, replay_bars
from services.simulator.config import Settings
from services.simulator.core.engine import Engine
from services.simulator.core.market import DailyBar
from services.simulator.core.orders import Status
from shared.config import ConfigError
from tests.unit.simulator.world import SESSIONS, bracket, make_engine, minutes, order

HEADER = "Date,Open,High,Low,Close,Volume\n"


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "AAA.csv"
    path.write_text(text)
    return path


def test_csv_is_read(tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER + "2010-01-04,10,11.5,9.99,10.25,1000\n")
    assert read_csv(path) == [DailyBar(date(2010, 1, 4), 1000, 1150, 999, 1025, 1000)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,open\n", "line 1: column 'high' is missing"),
        (HEADER + "4/1/2010,1,1,1,1,1\n", "line 2, date: '4/1/2010'"),
        (HEADER + "2010-01-04,1,1,1,1,1\n2010-01-05,1,x,1,1,1\n", "line 3, high: 'x' is not a number"),
        (HEADER + "2010-01-04,1,1,1,1\n", "line 2, volume: None"),
        (HEADER + "2010-01-04,5,6,5.5,5.7,1\n", "line 2, high and low"),
        (HEADER + "2010-01-04,0,1,0,1,1\n", "line 2, low: '0' is below"),
        (HEADER + "2010-01-05,1,1,1,1,1\n2010-01-04,1,1,1,1,1\n", "2010-01-04 comes after 2010-01-05"),
    ],
)
def test_csv_errors_name_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_csv(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_missing_csv_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"NONE\.csv"):
        read_csv(tmp_path / "NONE.csv")


def test_replay_has_the_real_prices() -> None:
    assert replay_bars("AAPL")[0] == DailyBar(date(2000, 3, 1), 11856, 13206, 11850, 13031, 9616100)
    with pytest.raises(ConfigError, match="'TSLA'"):
        replay_bars("TSLA")


def test_replay_market_knows_holidays_early_closes_and_late_listings() -> None:
    settings = Settings(start=date(2012, 10, 26), end=date(2012, 11, 30), warmup_days=250)
    market = load_market(settings, ["AAPL", "FB"])
    days = [session.day for session in market.sessions]
    assert date(2012, 10, 29) not in days, "the exchange was closed for hurricane Sandy"
    assert date(2012, 11, 22) not in days
    (friday,) = [session for session in market.sessions if session.day == date(2012, 11, 23)]
    assert (friday.close - friday.open).total_seconds() == 3.5 * 3600
    assert market.bars["FB"][0].day == date(2012, 5, 18)
    assert market.quote("FB", market.session_of(date(2012, 5, 17)).close) is None


def play(engine: Engine, journal: Journal) -> None:
    journal.advance(engine, SESSIONS[1].open)
    for request in bracket(1, "95", "108", "85", time_in_force="GTC"):
        journal.place(engine, request)
    journal.place(engine, order(4, "BUY", "LMT", "80", order_ref="h\xe9ld \u20ac"))
    journal.advance(engine, minutes(1, 200))
    journal.cancel(engine, 1, 4)
    journal.place(engine, order(5, "BUY", "LMT", "80", transmit=False))
    journal.drop_held(engine, 1)
    journal.advance(engine, minutes(2, 3))
    journal.cancel_all(engine)


def replayed(path: Path) -> Engine:
    engine = make_engine()
    with Journal(path, "id") as journal:
        journal.replay(engine)
    return engine


def test_replay_gives_the_identical_state(tmp_path: Path) -> None:
    path, engine = tmp_path / "deep" / "journal.jsonl", make_engine()
    with Journal(path, "id") as journal:
        play(engine, journal)
    again = replayed(path)
    assert engine.executions
    assert again.book == engine.book
    assert again.account == engine.account
    assert again.executions == engine.executions
    assert again.received == engine.received
    assert again.now == engine.now


def test_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "id") as journal:
        engine = make_engine()
        journal.place(engine, order(1, "BUY", "LMT", "95"))
        journal.place(engine, order(2, "BUY", "LMT", "95"))
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for length in range(start + 1, len(whole)):
        path.write_bytes(whole[:length])
        assert set(replayed(path).book.orders) == {(1, 1)}
    with Journal(path, "id") as journal:
        engine = make_engine()
        journal.replay(engine)
        journal.place(engine, order(2, "BUY", "LMT", "96"))
    again = replayed(path)
    assert again.book.orders[1, 2].request.limit_price == Decimal(96)
    assert again.book.orders[1, 2].status is Status.PRE_SUBMITTED


def test_journal_is_written_before_the_command_is_carried_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    class Failing(Engine):
        def advance(self, to: object) -> list[object]:  # type: ignore[override]
            assert json.loads(path.read_bytes().splitlines()[-1]) == {"advance": str(to).replace(" ", "T")}
            raise RuntimeError("killed here")

    engine = make_engine()
    engine.__class__ = Failing
    with Journal(path, "id") as journal, pytest.raises(RuntimeError, match="killed here"):
        journal.advance(engine, SESSIONS[1].open)
    assert replayed(path).now == SESSIONS[1].open


def test_journal_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "one").close()
    with pytest.raises(ConfigError, match=r"journal\.jsonl was written with another market"):
        Journal(path, "two")


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "id") as journal:
        journal.advance(make_engine(), SESSIONS[1].open)
    path.write_bytes(path.read_bytes() + b"\x00\x00\n" + b'{"advance":"2010-01-05T15:00:00+00:00"}\n')
    with pytest.raises(ConfigError, match="line 3 is damaged"):
        replayed(path)
