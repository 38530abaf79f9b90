"""`millrace strategies` and `millrace check-strategy`, as a person calls them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.strategies import allowed
from services.strategy.core.strategy import Distance
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from services.strategy.strategies.trend_pullback import TrendPullback

CONFIG = Path(__file__).parents[3] / "config"
OWN = '''"""Buy what rose."""

import numpy as np

from services.strategy.core.strategy import Bars, Distance, Signals, Strategy


class Own(Strategy):
    """Another line."""

    stop: Distance | None = None
    target: Distance | None = None
    least: float = 0.0

    @property
    def minimum_bars(self) -> int:
        return 2

    def generate_signals(self, bars: Bars) -> Signals:
        rises = np.append(False, np.diff(bars.close) > self.least)
        return Signals(entry=rises, exit=~rises)
'''
AHEAD = OWN.replace("np.append(False, np.diff(bars.close) > self.least)", "np.append(np.diff(bars.close) > 0, False)")


def millrace(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--config", str(CONFIG)])


@pytest.fixture
def prices(tmp_path: Path) -> str:
    """A folder with ten daily bars of AAA and minute bars of two sessions of BBB."""
    rising = [
        f"2012-05-{day},{10 + day % 3},20,5,{10 + day % 3},1000" for day in (14, 15, 16, 17, 18, 21, 22, 23, 24, 25)
    ]
    minutes = [
        f"2012-05-{day}T09:{minute}:00,{10 + minute % 3},20,5,{10 + minute % 3},10"
        for day in (14, 15)
        for minute in range(30, 60)
    ]
    (tmp_path / "AAA.csv").write_text("\n".join(["date,open,high,low,close,volume", *rising]))
    (tmp_path / "BBB.csv").write_text("\n".join(["time,open,high,low,close,volume", *minutes]))
    return str(tmp_path)


def own(folder: Path, text: str) -> str:
    (folder / "own.py").write_text(text)
    return str(folder / "own.py")


def test_a_strategy_of_the_house_passes():
    done = millrace(
        "check-strategy", "moving_average_crossover", "--data", "replay", "--symbols", "fb", "--set", "slow=10"
    )
    assert done.exit_code == 0
    assert (
        "stop: fraction = 0.03; target: fraction = 0.05; fast: 5; slow: 10; average: simple; seen live" in done.output
    )
    assert "FB, replay: 196 bars, " in done.output
    assert "no look-ahead in 186 prefixes" in done.output


def test_an_own_file_is_checked_on_daily_and_on_minute_bars(tmp_path: Path, prices: str):
    done = millrace("check-strategy", own(tmp_path, OWN), "--data", prices)
    assert done.exit_code == 0
    assert "AAA, " + prices + ": 10 bars, 5 entries, 4 exits" in done.output
    assert "BBB, " + prices + ": 60 bars, 40 entries, 19 exits" in done.output


def test_a_look_ahead_is_named_with_its_bar_and_fails(tmp_path: Path, prices: str):
    done = millrace("check-strategy", own(tmp_path, AHEAD), "--data", prices, "--symbols", "AAA")
    assert done.exit_code == 1
    assert (
        "Own looks ahead: its entry signal at bar 1 (2012-05-15T20:00:00.000000 UTC) is False with 2 bars known, and"
        in done.output
    )


def test_a_memory_longer_than_the_window_fails(tmp_path: Path):
    long = OWN.replace("np.append(False, np.diff(bars.close) > self.least)", "np.cumsum(bars.volume) % 2 == 0")
    done = millrace("check-strategy", own(tmp_path, long), "--symbols", "FB")
    assert done.exit_code == 1
    assert "FB, replay: 196 bars" in done.output
    assert "one window holds them all" in done.output
    assert "more than 1%: raise minimum_bars" in done.output


def test_bars_made_up_and_of_the_replay_are_the_default(tmp_path: Path):
    done = millrace("check-strategy", own(tmp_path, AHEAD), "--symbols", "FB")
    assert done.exit_code == 1
    for name in ("FB, replay", "made up, 1 day", "made up, 1 min"):
        assert f"{name}: Own looks ahead" in done.output


@pytest.mark.parametrize(
    ("words", "text", "complaint"),
    [
        (["--set", "least=1000"], OWN, "nothing is proven: there was no entry in any of these bars"),
        (["--symbols", "AAA"], OWN.replace("return 2", "return 11"), "10 bars are too few, 11 are needed"),
        ([], OWN.replace("self.least", "self.lest"), "it failed: AttributeError: 'Own' object has no attribute 'lest'"),
    ],
)
def test_what_proves_nothing_fails(tmp_path: Path, prices: str, words: list[str], text: str, complaint: str):
    done = millrace("check-strategy", own(tmp_path, text), "--data", prices, *words)
    assert done.exit_code == 1
    assert complaint in done.output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing"], "unknown strategy 'nothing'; known: "),
        (["nothing.py"], "nothing.py does not exist; give a strategy's file"),
        (["breakout", "--set", "channel=1"], "breakout: parameters.channel = 1 is not allowed"),
        (["breakout", "--set", "channel"], "--set 'channel' is not allowed"),
        (["breakout", "--data", "nowhere"], "--data: 'nowhere' holds no SYMBOL.csv"),
        (["breakout", "--symbols", "XYZ"], "'XYZ', which market = replay does not have"),
    ],
)
def test_a_wrong_word_is_named(words: list[str], complaint: str):
    done = millrace("check-strategy", *words)
    assert done.exit_code in (1, 2)
    assert complaint in done.output


def test_all_strategies_are_listed_and_broken_files_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own(tmp_path, OWN)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    monkeypatch.setenv("MILLRACE_STRATEGY__STRATEGY_FOLDER", str(tmp_path))
    done = millrace("strategies")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert any(line.startswith("momentum ") and "Buy when a rise gathers pace" in line for line in lines)
    assert any(line.split() == ["own", "Buy", "what", "rose."] for line in lines)
    said = " ".join(done.output.split())
    assert "broken can't be used: " in said
    assert "No module named 'nothing_of_this_name'" in said


def test_one_strategy_is_shown_with_its_parameters():
    done = millrace("strategies", "moving_average_crossover")
    rows = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "fast 5 from 2 to 200 bars in the fast average" in rows
    assert "average simple simple | exponential which moving average" in rows
    assert "stop fraction = 0.03 fraction, atr_multiple or none loss at which the position is closed" in rows


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (MovingAverageCrossover, "slow", "from 3 to 400"),
        (TrendPullback, "most_volatility", "above 0 to 0.5"),
        (TrendPullback, "trend_timeframe", "5 mins | 15 mins | 30 mins | 1 hour | 1 day | none"),
        (Distance, "fraction", "above 0 below 1 or none"),
    ],
)
def test_bounds_are_put_into_words(kind: type[TrendPullback], name: str, text: str):
    field = kind.model_fields[name]
    assert allowed(field.annotation, field.metadata) == text
