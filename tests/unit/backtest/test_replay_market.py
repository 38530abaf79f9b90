"""From a backtest's settings to its market and its result, through the simulator's own loaders."""

import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.backtest.adapters.market import load_market_for, run_simulator
from services.backtest.config import RunConfig
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import ExitReason, Fills, Gear
from services.backtest.live import LiveSettings
from services.strategy.catalogue import make_instances
from services.strategy.config import Settings as StrategySettings
from shared.calendar import sessions
from shared.config import CONFIG_FOLDER, ConfigError

ROOT = Path(__file__).parents[3]
LIVE = LiveSettings.load({**os.environ, CONFIG_FOLDER: str(ROOT / "config")})
CROSSOVER: Mapping[str, Any] = {
    "name": "crossover",
    "strategy": "moving_average_crossover",
    "parameters": {"fast": 2, "slow": 5, "stop": {"fraction": 0.02}, "target": {"fraction": 0.02}},
}


def config(**changes: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "strategies": [CROSSOVER],
            "symbols": ["IBM", "MSFT"],
            "first": date(2012, 6, 1),
            "last": date(2012, 7, 31),
            **changes,
        }
    )


def run(found: RunConfig) -> Any:
    settings = StrategySettings(instances=found.strategies, window_bars=found.window_bars)
    return run_simulator(found, make_instances(settings, found.symbols), Evidence(found.confluence), LIVE)


def test_real_prices_trade() -> None:
    result = run(config())
    assert (result.gear, result.fills, result.cash) == (Gear.EXACT, Fills.SIMULATOR, 1_000_000)
    assert len(result.trades) >= 5
    assert len(result.curve.time) == len(sessions(date(2012, 6, 1), date(2012, 7, 31)))
    assert any(f"{LIVE.simulator.spread} USD" in text for text in result.assumptions)
    assert any("evaluate_strategies 5 min after the open" in text for text in result.assumptions)


def test_the_fingerprint_is_that_of_the_prices() -> None:
    same = load_market_for(config(), LIVE).fingerprint()
    assert load_market_for(config(cash=5), LIVE).fingerprint() == same
    assert load_market_for(config(symbols=["IBM"]), LIVE).fingerprint() != same
    synthetic = {"source": "synthetic"}
    assert (
        load_market_for(config(**synthetic, seed=1), LIVE).fingerprint()
        != load_market_for(config(**synthetic, seed=2), LIVE).fingerprint()
    )


def test_a_benchmark_need_not_be_traded() -> None:
    result = run(config(benchmark="AAPL", symbols=["IBM"], last=date(2012, 6, 15)))
    assert {trade.symbol for trade in result.trades} <= {"IBM"}
    assert result.curve.benchmark[-1] == pytest.approx(1_000_000 * 574.13 / 569.16)  # its bars of those days


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"source": "database"}, "source = database holds bars"),
        ({"symbols": ["TSLA"]}, "TSLA"),
        ({"source": "/nowhere"}, "/nowhere"),
        ({"strategies": [{**CROSSOVER, "timeframe": "5 mins"}]}, "timeframe = 5 mins has no bars"),
        ({"strategies": [{**CROSSOVER, "timeframe": "1 min"}]}, "source = replay has only daily bars of IBM"),
        ({"first": date(2012, 7, 7), "last": date(2012, 7, 8)}, "no exchange session"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        run(config(**changes))


def test_minute_bars_trade_inside_the_day(tmp_path: Path) -> None:
    """Bars made of quotes: decided in the minute after their end, and out again the same day."""
    write_minutes(tmp_path / "ZIG.csv", [date(2012, 6, 4), date(2012, 6, 5)])
    found = config(
        source=str(tmp_path),
        symbols=["ZIG"],
        strategies=[{**CROSSOVER, "timeframe": "1 min"}],
        first=date(2012, 6, 4),
        last=date(2012, 6, 5),
    )
    result = run(found)
    assert len(result.trades) >= 6
    assert {ExitReason.SIGNAL, ExitReason.TARGET} <= {trade.reason for trade in result.trades}
    assert not result.failures
    assert sum(trade.opened_at.date() == trade.closed_at.date() for trade in result.trades) >= 5
    assert any(trade.opened_at.minute % 5 for trade in result.trades)


def write_minutes(path: Path, days: list[date]) -> None:
    """A zigzag of 40 minutes around 50 USD, the second day's higher."""
    lines = ["time,open,high,low,close,volume"]
    for number, day in enumerate(days):
        open_at = datetime(day.year, day.month, day.day, 9, 30)  # noqa: DTZ001 - New York, as the setting says
        prices = 50 + 2 * number + (1 + number) * np.abs(np.arange(391) % 40 - 20) / 20
        for minute, (price, after) in enumerate(pairwise(prices.tolist())):
            low, high = min(price, after), max(price, after)
            time = open_at + timedelta(minutes=minute)
            lines.append(f"{time:%Y-%m-%d %H:%M},{price:.2f},{high:.2f},{low:.2f},{after:.2f},500000")
    path.write_text("\n".join(lines))
