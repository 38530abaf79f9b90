"""How strategies are found, and what is said about bad ones."""

from pathlib import Path
from typing import Any

import pytest

from services.strategy.catalogue import find_strategies, make_instances
from services.strategy.config import InstanceSettings, Settings
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.config import ConfigError, load

UNIVERSE = ("AAPL", "IBM")
OWN = """
from services.strategy.core.strategy import Bars, Distance, Signals, Strategy

class Never(Strategy):
    stop: Distance = Distance(fraction=0.1)
    target: Distance = Distance(fraction=0.1)

    @property
    def minimum_bars(self) -> int:
        return 1

    def generate_signals(self, bars: Bars) -> Signals:
        nothing = bars.close < 0
        return Signals(entry=nothing, exit=nothing)
"""


def settings(folder: Path | None = None, **changes: Any) -> Settings:
    values = {"name": "mine", "strategy": "moving_average_crossover"} | changes
    return Settings(instances=(InstanceSettings(**values),), strategy_folder=folder, window_bars=50)


def test_the_crossover_is_found_by_its_entry_point():
    assert find_strategies(None)["moving_average_crossover"] is MovingAverageCrossover


def test_the_settings_that_come_with_the_house_make_an_instance():
    [instance] = make_instances(load(Settings, {}), UNIVERSE)
    assert (instance.name, instance.symbols) == ("crossover", UNIVERSE)


def test_a_file_of_the_folder_is_a_strategy(tmp_path: Path):
    (tmp_path / "never.py").write_text(OWN)
    [instance] = make_instances(settings(tmp_path, strategy="never", symbols=("IBM",)), UNIVERSE)
    assert (type(instance.strategy).__name__, instance.symbols) == ("Never", ("IBM",))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("broken", "import nothing_of_this_name", "broken.py can't be imported: ModuleNotFoundError"),
        ("typo", "def (", "typo.py can't be imported: SyntaxError"),
        ("empty", "x = 1", "exactly one subclass of Strategy; this one defines none"),
        ("two", OWN + OWN.replace("Never", "Ever"), "this one defines Never, Ever"),
        ("moving_average_crossover", OWN, "there is a strategy 'moving_average_crossover' already"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, name: str, text: str, complaint: str):
    (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        find_strategies(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="nowhere' is no folder"):
        find_strategies(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"strategy": "nothing"}, "unknown strategy 'nothing'; known: moving_average_crossover"),
        ({"symbols": ("IBM", "XYZ")}, r"symbols \['XYZ'\] are not in millrace.toml's symbols"),
        ({"parameters": {"fast": 1}}, "parameters.fast = 1 is not allowed"),
        ({"parameters": {"fest": 3}}, "parameters.fest = 3 is not allowed"),
        ({"parameters": {"stop": {"fraction": 2}}}, "parameters.stop.fraction = 2 is not allowed"),
        ({"parameters": {"slow": 60}}, "needs 61 bars but sees window_bars = 50"),
    ],
)
def test_a_bad_instance_is_named_with_the_reason(changes: dict[str, Any], complaint: str):
    with pytest.raises(ConfigError, match=f"instance 'mine'.*{complaint}"):
        make_instances(settings(**changes), UNIVERSE)
