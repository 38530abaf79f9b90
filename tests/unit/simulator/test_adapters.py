"""The market that settings describe."""

from datetime import date
from pathlib import Path

import pytest

from services.simulator.adapters.prices import load_market, replay_bars
from services.simulator.config import Settings
from services.simulator.core.bars import DailyBar
from services.simulator.core.catalogue import stock
from shared.config import ConfigError


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
    friday = market.session_of(date(2012, 11, 23))
    assert friday is not None
    assert (friday.close - friday.open).total_seconds() == 3.5 * 3600
    facebook = stock("FB").contract_id
    assert market.series(facebook).days[0] == date(2012, 5, 18)
    before = market.session_of(date(2012, 5, 17))
    assert before is not None
    assert market.quote(facebook, before.close) is None


@pytest.mark.parametrize(
    ("settings", "symbols", "message"),
    [
        ({}, [], "symbols is empty"),
        ({}, ["AAPL", "AAPL"], "symbols contains 'AAPL' twice"),
        ({"currencies": ("USD.JPY",)}, ["AAPL"], "currencies contains 'USD.JPY'"),
        ({"futures": ("CL",)}, ["AAPL"], "futures contains 'CL'; choose from ES"),
        ({"minutes_zone": "Mars"}, ["AAPL"], "minutes_zone is 'Mars'"),
        ({"start": date(2012, 10, 28), "end": date(2012, 10, 30)}, ["AAPL"], "no exchange session from 2012-10-28"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], symbols: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_market(Settings(**settings), symbols)  # type: ignore[arg-type]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder is missing"):
        Settings(market="folder")
    with pytest.raises(ConfigError, match=r"neither AAA\.csv nor AAA\.parquet"):
        load_market(Settings(market="folder", folder=tmp_path), ["AAA"])
