"""SIGKILL to every process in turn, twice, also Redis: books and received orders stay the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

SESSIONS = 30
VICTIMS = (
    "simulator",
    "gateway",
    "execution",
    "notifier",
    "risk",
    "marketdata",
    "scanner",
    "strategy",
    "scheduler",
    "redis",
)


def demo(folder: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """What a demonstration printed, and its final books and received orders."""
    result = folder.with_suffix(".json")
    command = [sys.executable, "-m", "cli.main", "demo", "--sessions", str(SESSIONS), "--data-folder", str(folder)]
    run = subprocess.run(  # noqa: S603 - our own program
        [*command, "--json", str(result), *options], capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, orjson.loads(result.read_bytes())


@pytest.mark.timeout(900)
def test_a_run_with_every_process_killed_ends_like_an_undisturbed_one(server_folder: Path) -> None:
    _, undisturbed = demo(server_folder / "undisturbed")
    told, killed = demo(server_folder / "killed", "--kill-each")
    for victim in VICTIMS:
        assert told.count(f"killed {victim} ") == 2
    assert killed["books"]["agree"]
    assert len(killed["fills"]) >= 10
    assert len(killed["received_orders"]) >= 20
    for part in ("received_orders", "fills", "orders", "positions", "books"):
        assert killed[part] == undisturbed[part], part
