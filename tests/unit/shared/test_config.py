"""A configuration that can't be used is refused with the key, the value and the remedy."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from shared.config import Common, ConfigError, Settings, load
from shared.types import Mode


class RiskSettings(Settings):
    section: ClassVar[str] = "risk"
    max_positions: int = Field(5, ge=1, le=50)
    max_loss: float = Field(0.02, gt=0, lt=1)
    password: str | None = None


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "millrace.toml").write_text('mode = "simulated"\nsymbols = ["AAPL", "MSFT"]\n')
    (tmp_path / "risk.toml").write_text("max_positions = 7\n")
    return {"MILLRACE_CONFIG_FOLDER": str(tmp_path), "PATH": "/bin"}


def write(environment: dict[str, str], text: str, name: str = "risk") -> None:
    (Path(environment["MILLRACE_CONFIG_FOLDER"]) / f"{name}.toml").write_text(text)


def refusal(environment: dict[str, str], model: type[Settings] = RiskSettings) -> str:
    with pytest.raises(ConfigError) as caught:
        load(model, environment)
    return str(caught.value)


def test_the_file_gives_values_and_the_model_the_rest(environment: dict[str, str]) -> None:
    settings = load(RiskSettings, environment)
    assert (settings.max_positions, settings.max_loss) == (7, 0.02)
    assert load(Common, environment).symbols == ("AAPL", "MSFT")


def test_the_environment_overrides_the_file(environment: dict[str, str]) -> None:
    environment |= {"MILLRACE_RISK__MAX_POSITIONS": "9", "MILLRACE_MODE": "paper", "MILLRACE_SYMBOLS": '["IBM"]'}
    assert load(RiskSettings, environment).max_positions == 9
    assert load(Common, environment).mode is Mode.PAPER
    assert load(Common, environment).symbols == ("IBM",)


def test_text_from_the_environment_stays_text(environment: dict[str, str]) -> None:
    environment |= {"MILLRACE_RISK__PASSWORD": "12345", "MILLRACE_CONSUMER": "007"}
    assert load(RiskSettings, environment).password == "12345"  # noqa: S105
    assert load(Common, environment).consumer == "007"


def test_an_unknown_key_is_named_with_the_one_that_was_meant(environment: dict[str, str]) -> None:
    write(environment, "max_postions = 3\n")
    text = refusal(environment)
    assert "risk.toml: unknown key 'max_postions' = 3; did you mean 'max_positions'?" in text


def test_an_unknown_key_like_no_other_lists_the_known_ones(environment: dict[str, str]) -> None:
    write(environment, "zebra = 3\n")
    assert "known keys: max_loss, max_positions, password" in refusal(environment)


def test_an_unknown_key_in_the_environment_is_refused(environment: dict[str, str]) -> None:
    environment["MILLRACE_RISK__MAX_POSITION"] = "3"
    text = refusal(environment)
    assert "environment (MILLRACE_RISK__MAX_POSITION): unknown key 'max_position' = 3" in text
    assert "did you mean 'max_positions'?" in text
    environment["MILLRACE_MOOD"] = "good"
    assert "environment (MILLRACE_MOOD): unknown key 'mood'" in refusal(environment, Common)


def test_a_wrong_type_is_named_with_its_value(environment: dict[str, str]) -> None:
    write(environment, 'max_positions = "many"\n')
    assert "max_positions = 'many' is not allowed: Input should be a valid integer" in refusal(environment)


@pytest.mark.parametrize("value", ["0", "51"])
def test_a_value_out_of_range_is_told_the_range(environment: dict[str, str], value: str) -> None:
    write(environment, f"max_positions = {value}\n")
    text = refusal(environment)
    assert f"max_positions = {value} is not allowed" in text
    assert "(allowed: at least 1 and at most 50)" in text


def test_every_mistake_is_told_at_once(environment: dict[str, str]) -> None:
    write(environment, "max_positions = 0\nmax_loss = 2\nzebra = 1\n")
    assert len(refusal(environment).splitlines()) == 3


def test_an_unknown_mode_is_told_the_known_ones(environment: dict[str, str]) -> None:
    environment["MILLRACE_MODE"] = "dream"
    text = refusal(environment, Common)
    assert "environment (MILLRACE_MODE): mode = 'dream'" in text
    assert "'simulated', 'paper' or 'live'" in text


def test_a_missing_file_says_which_and_how_to_point_elsewhere(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "risk.toml").unlink()
    text = refusal(environment)
    assert str(tmp_path / "risk.toml") in text
    assert "set MILLRACE_CONFIG_FOLDER" in text


def test_a_missing_key_is_named(environment: dict[str, str]) -> None:
    write(environment, 'mode = "paper"\n', "millrace")
    assert "key 'symbols' is missing" in refusal(environment, Common)


def test_a_file_that_is_not_toml_is_refused(environment: dict[str, str]) -> None:
    write(environment, "max_positions: 3\n")
    assert "risk.toml can't be read" in refusal(environment)


def test_the_configuration_that_comes_with_millrace_loads() -> None:
    folder = Path(__file__).parents[3] / "config"
    assert load(Common, {"MILLRACE_CONFIG_FOLDER": str(folder)}).mode is Mode.SIMULATED
