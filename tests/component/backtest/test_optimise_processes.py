"""Sweeps whose workers are real processes, which are killed; with the study in a file and in real PostgreSQL."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from services.backtest.optimise.data import SweepData
from services.backtest.optimise.sweep import create, join
from shared.config import ConfigError
from tests.component.backtest.sweeps import do_all, results

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 50
SEVERAL_PROCESSES = pytest.mark.timeout(3 * PATIENCE_SECONDS)  # each imports for two seconds of a processor


class Workers:
    """`python -m services.backtest`, each a process; the log is theirs together."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.log = folder / "workers.log"
        self._environment = {
            **os.environ,
            "MILLRACE_CONFIG_FOLDER": str(ROOT / "config"),
            "MILLRACE_HTTP_PORT": "0",
            "MILLRACE_HTTP_HOST": "127.0.0.1",
            **environment,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.backtest"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _until(condition: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


@SEVERAL_PROCESSES
def test_the_job_of_the_cluster_shares_a_study_through_postgres(
    tmp_path: Path, make_database: Callable[..., str]
) -> None:
    """What the pods run, on this machine: each makes the study or finds it, and works until all of it is done; what
    the one that is killed had in hand is done by the other."""
    documents = yaml.safe_load_all((ROOT / "deploy/k8s/optimise/job.yaml").read_text())
    (pod,) = (found["spec"]["template"]["spec"] for found in documents if found["kind"] == "Job")
    (init,), (container,) = pod["initContainers"], pod["containers"]
    url = make_database()  # with Millrace's own tables, which Optuna's must not meet
    environment = {"MILLRACE_DATABASE_URL": url} | {
        entry["name"]: entry["value"] for entry in container["env"] if entry["name"].startswith("MILLRACE_")
    }
    command = [sys.executable, "-m", "cli.main", *init["command"][1:], *init["args"]]
    command += ["--sampler", "random", "--sets", "600"]
    made = _run(command, os.environ | environment | {"MILLRACE_CONFIG_FOLDER": str(ROOT / "config")})
    assert made.returncode == 0, made.stderr
    assert "study first: 0 of 600 sets are done" in made.stdout
    sweep = join(url, "first")
    create(url, "first", sweep.config, sweep.inputs).storage.close()  # as the second pod does
    workers = Workers(tmp_path, environment)
    with ExitStack() as stack:
        stack.callback(sweep.storage.close)
        stack.callback(workers.end)
        killed, other = workers.start(), workers.start()
        _until(lambda: sweep.done > 50, killed, workers.log)
        killed.kill()
        killed.wait()
        before = results(sweep)
        assert 50 < len(before) < 600, "killed in the middle"
        assert other.wait(PATIENCE_SECONDS) == 0, workers.log.read_text()
        after = results(sweep)
        assert sorted(after) == list(range(600))
        assert {number: after[number] for number in before} == before
        study = optuna.load_study(study_name="first", storage=sweep.storage.optuna)
        assert [trial.number for trial in study.trials] == list(range(600)), (
            "each once, and Optuna's own tools can read it"
        )
        assert study.best_value == max(trial.value for trial in study.trials if trial.value is not None)
        alone = create(str(tmp_path), "alone", sweep.config, sweep.inputs)
        with closing(alone.storage):
            do_all(alone, SweepData.load(sweep.config.run))
            assert results(alone) == after, "as one process finds them, with the study in a file"


def _run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


def test_a_worker_without_a_study_says_what_to_do(tmp_path: Path) -> None:
    workers = Workers(tmp_path, {"MILLRACE_BACKTEST__STUDY": "none", "MILLRACE_BACKTEST__STORAGE": str(tmp_path)})
    assert workers.start().wait(PATIENCE_SECONDS) == 2
    assert "there is no study 'none'" in workers.log.read_text()
    assert "make it with 'millrace optimise'" in workers.log.read_text()


def _mine(studies: Path) -> dict[int, tuple[Any, ...]]:
    """The results so far; none while there is no study."""
    try:
        sweep = join(str(studies), "mine")
    except ConfigError:
        return {}
    with closing(sweep.storage):
        return results(sweep)


@SEVERAL_PROCESSES
def test_the_command_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "optimise", "moving_average_crossover", "--sampler", "grid",
               "--range", "fast=2:21", "--range", "slow=22:41", "--symbols", "AAPL,IBM,MSFT,GOOG",
               "--from", "2005-01-03", "--to", "2012-12-31", "--workers", "2", "--study", "mine",
               "--constraint", "trades >= 5", "--data-folder", str(tmp_path)]  # fmt: skip
    studies = tmp_path / "studies"
    log = tmp_path / "log"
    with log.open("wb") as output:
        killed = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603 - our own command
    with killed, ExitStack() as stack:
        stack.callback(killed.kill)

        _until(lambda: len(_mine(studies)) > 50, killed, log)
        killed.kill()
        killed.wait()
    before = _mine(studies)
    assert 50 < len(before) < 400
    result = _run([*command, "--workers", "1"], dict(os.environ))
    assert result.returncode == 0, result.stderr
    after = _mine(studies)
    assert sorted(after) == list(range(400))
    assert {number: after[number] for number in before} == before
    assert "of 400 sets were done already" in result.stdout
    assert "400 sets tried" in result.stdout
    assert "significant" in result.stdout.lower()
    (report,) = (tmp_path / "backtests").glob("*/report.html")
    assert report.stat().st_size > 10_000
