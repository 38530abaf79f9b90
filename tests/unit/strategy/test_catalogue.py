"""How strategies are found, and what is said about bad ones."""

import re
from pathlib import Path
from typing import Any

import pytest

from services.strategy.catalogue import find_strategies, instances_at_work, make_instances
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
    assert find_strategies(None).strategies["moving_average_crossover"] is MovingAverageCrossover


def test_the_settings_that_come_with_the_house_make_an_instance():
    [instance] = make_instances(load(Settings, {}), UNIVERSE)
    assert (instance.name, instance.symbols) == ("crossover", UNIVERSE)


def test_a_file_of_the_folder_is_a_strategy(tmp_path: Path):
    (tmp_path / "never.py").write_text(OWN)
    [instance] = make_instances(settings(tmp_path, strategy="never", symbols=("IBM",)), UNIVERSE)
    assert (type(instance.strategy).__name__, instance.symbols) == ("Never", ("IBM",))


def test_a_file_may_postpone_its_annotations_and_have_dataclasses(tmp_path: Path):
    pair = "from dataclasses import dataclass\n@dataclass(slots=True)\nclass Pair:\n    one: int\n"
    (tmp_path / "late.py").write_text("from __future__ import annotations\n" + pair + OWN)
    [instance] = make_instances(settings(tmp_path, strategy="late"), UNIVERSE)
    assert type(instance.strategy).__name__ == "Never"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("broken", "import nothing_of_this_name", "broken.py can't be imported: ModuleNotFoundError"),
        ("typo", "def (", "typo.py can't be imported: SyntaxError"),
        ("ends", "raise SystemExit(3)", "ends.py can't be imported: SystemExit: 3"),
        ("half", OWN[: OWN.index("    @property")], "Never does not define generate_signals, minimum_bars"),
        ("empty", "x = 1", "exactly one subclass of Strategy; this one defines none"),
        ("two", OWN + OWN.replace("Never", "Ever"), "this one defines Never, Ever"),
        ("moving_average_crossover", OWN, "there is a strategy 'moving_average_crossover' already"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, name: str, text: str, complaint: str):
    (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "good.py").write_text(OWN)
    found = find_strategies(tmp_path)
    assert complaint in found.problems[name]
    assert name not in found.strategies
    assert "good" in found.strategies
    with pytest.raises(ConfigError, match="instance 'mine': .*" + re.escape(complaint)):
        make_instances(settings(tmp_path, strategy=name), UNIVERSE)


LOOKS_AHEAD = OWN.replace("nothing = bars.close < 0", "nothing = bars.close > bars.close.mean()")
FAILS = OWN.replace("nothing = bars.close < 0", "nothing = bars.price < 0")


def test_a_strategy_whose_code_is_bad_is_set_aside_and_the_others_work(tmp_path: Path):
    for name, text in {"good": OWN, "broken": "import nothing", "ahead": LOOKS_AHEAD, "fails": FAILS}.items():
        (tmp_path / f"{name}.py").write_text(text)
    names = ("broken", "ahead", "good", "fails")
    instances = tuple(InstanceSettings(name=f"my {name}", strategy=name) for name in names)
    working, disabled = instances_at_work(Settings(instances=instances, strategy_folder=tmp_path), UNIVERSE)
    assert [instance.name for instance in working] == ["my good"]
    assert list(disabled) == ["my broken", "my ahead", "my fails"]
    for name, complaint in (
        ("broken", "can't be imported: ModuleNotFoundError"),
        ("ahead", "Never looks ahead: its entry signal at bar"),
        ("fails", "it fails on made-up bars: AttributeError"),
    ):
        assert complaint in disabled[f"my {name}"]


def test_a_typo_in_the_settings_starts_nothing():
    for changes in ({"strategy": "nothing"}, {"symbols": ("XYZ",)}, {"parameters": {"fest": 3}}):
        with pytest.raises(ConfigError, match="instance 'mine'"):
            instances_at_work(settings(**changes), UNIVERSE)


def test_an_instance_has_the_score_that_it_needs():
    [instance] = make_instances(settings(minimum_score=0.7), UNIVERSE)
    assert instance.minimum_score == 0.7


def test_an_installed_package_brings_strategies_and_one_bad_entry_point_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    facts = tmp_path / "others-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    points = {"theirs": ":Never", "gone": ":Gone", "none": ":np", "momentum": ":Never"}
    lines = [f"{name} = others_strategies{where}" for name, where in points.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[millrace.strategies]", *lines]))
    (tmp_path / "others_strategies.py").write_text("import numpy as np\n" + OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = find_strategies(None)
    assert found.strategies["theirs"].__name__ == "Never"
    assert "gone = others_strategies:Gone of millrace.strategies can't be imported" in found.problems["gone"]
    assert "is no subclass of Strategy" in found.problems["none"]
    assert "there is a strategy 'momentum' already" in found.problems["momentum"]
    assert "moving_average_crossover" in found.strategies


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="nowhere' is no folder"):
        find_strategies(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"strategy": "nothing"}, "unknown strategy 'nothing'; known: .*moving_average_crossover"),
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
