"""Results on disk: what was saved comes back to the last bit, is found by its id, and is whole after a kill."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from services.backtest.adapters.report_terminal import print_results
from services.backtest.adapters.store import code_hash, list_results, load, save
from services.backtest.config import RunConfig
from services.backtest.core.model import Result
from shared.config import ConfigError
from tests.unit.backtest.sample import make_config, make_histories, make_result

DATA_HASH = "d" * 64


@pytest.fixture(scope="module")
def result() -> Result:
    return make_result(make_histories())


def listed(folder: Path) -> str:
    console = Console(width=200, file=StringIO())
    print_results(console, list_results(folder))
    return console.file.getvalue()


def test_what_was_saved_comes_back(tmp_path: Path, result: Result) -> None:
    config = make_config(sentiment=Path("readings.csv"), benchmark="IBM")
    found = load(tmp_path, save(tmp_path, config, DATA_HASH, result))
    assert (found.config, found.data_hash) == (config, DATA_HASH)
    for name in ("trades", "orders", "assumptions", "refusals", "failures", "cash", "turnover", "gear", "fills"):
        assert getattr(found.result, name) == getattr(result, name)
    for name in ("time", "value", "exposure", "benchmark"):
        ours, theirs = getattr(found.result.curve, name), getattr(result.curve, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_a_list_tells_the_figures_and_is_oldest_first(tmp_path: Path, result: Result) -> None:
    ids = [save(tmp_path, make_config(seed=seed), DATA_HASH, result) for seed in (1, 2, 3)]
    found = list_results(tmp_path)
    assert [summary.id for summary in found] == ids
    assert found[0].statistics["sharpe"] == load(tmp_path, ids[0]).statistics.account.sharpe
    assert list_results(tmp_path / "nothing") == []
    assert "1.06     104  132,544.71" in listed(tmp_path)


def test_the_config_on_disk_asks_the_same_again(tmp_path: Path, result: Result) -> None:
    config = make_config(cash=Decimal("12345.67"))
    name = save(tmp_path, config, DATA_HASH, result)
    assert RunConfig.model_validate_json((tmp_path / name / "config.json").read_bytes()) == config


def test_equal_inputs_must_have_equal_results(tmp_path: Path, result: Result) -> None:
    for _ in range(2):
        save(tmp_path, make_config(), DATA_HASH, result)
    save(tmp_path, make_config(seed=2), DATA_HASH, result)
    first, again, other = list_results(tmp_path)
    assert first.id != again.id
    assert first.inputs_hash == again.inputs_hash != other.inputs_hash
    assert listed(tmp_path).count("same") == 2
    value = result.curve.value.copy()
    value[100] = np.nextafter(value[100], np.inf)
    save(tmp_path, make_config(), DATA_HASH, replace(result, curve=replace(result.curve, value=value)))
    assert listed(tmp_path).count("DIFFERS") == 3
    assert load(tmp_path, first.id).result_hash == first.result_hash


def test_data_and_strategies_are_inputs(tmp_path: Path, result: Result) -> None:
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "mine.py").write_text("x = 1\n")
    config = make_config(strategy_folder=folder)
    save(tmp_path, config, DATA_HASH, result)
    save(tmp_path, config, "e" * 64, result)
    before = code_hash(folder)
    (folder / "mine.py").write_text("x = 2\n")
    assert code_hash(folder) != before
    save(tmp_path, config, DATA_HASH, result)
    assert len({summary.inputs_hash for summary in list_results(tmp_path)}) == 3


def test_an_id_may_be_shortened_while_it_is_one_results(tmp_path: Path, result: Result) -> None:
    ids = [save(tmp_path, make_config(), DATA_HASH, result) for _ in range(17)]  # two begin with the same digit
    assert load(tmp_path, ids[0][:9]).id == ids[0]
    digits = [name[0] for name in ids]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(ConfigError, match=f"result = '{twice}' begins .*, .*; give as much of an id as only one has"):
        load(tmp_path, twice)
    with pytest.raises(ConfigError, match="result = 'x' is none of"):
        load(tmp_path, "x")
    with pytest.raises(ConfigError, match="result = '' is none of"):
        load(tmp_path, "")


@pytest.mark.parametrize("file", ["summary.json", "config.json", "result.json", "curve.parquet"])
def test_a_damaged_result_is_named(tmp_path: Path, result: Result, file: str) -> None:
    name = save(tmp_path, make_config(), DATA_HASH, result)
    (tmp_path / name / file).write_bytes(b'{"id": 1')
    with pytest.raises(ConfigError, match=f"{name} can't be read, delete it or use the version that wrote it"):
        load(tmp_path, name)


SAVING = """
import sys
from pathlib import Path
from services.backtest.adapters.store import save
from tests.unit.backtest.sample import make_config, make_histories, make_result
result = make_result(make_histories())
while True:
    save(Path(sys.argv[1]), make_config(), "d" * 64, result)
"""


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not (path / "curve.parquet").exists()]


def test_a_kill_leaves_no_half_result(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SAVING, str(tmp_path)]) as process:  # noqa: S603
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # until it stands still in the middle of writing one
            process.send_signal(signal.SIGCONT)
            while not unfinished(tmp_path) and time.monotonic() < deadline:
                pass
            process.send_signal(signal.SIGSTOP)
            if unfinished(tmp_path) and len(list(tmp_path.iterdir())) > 3:
                break
        process.send_signal(signal.SIGKILL)
    assert unfinished(tmp_path)
    found = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert len(found) >= 3
    assert {summary.id for summary in list_results(tmp_path)} == set(found)
    for name in found:
        assert len(load(tmp_path, name).result.trades) == 104
