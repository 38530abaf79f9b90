"""Each import rule of pyproject.toml holds, and catches its breach in a copy of the code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BREACHES = {
    "Services never import each other": ("services/notifier/app.py", "import services.risk.core"),
    "A core is pure: no I/O, no framework, no clock": ("services/strategy/core/__init__.py", "import asyncio"),
    "Only the gateway's adapters speak to the broker": ("services/execution/app.py", "import ib_async"),
    "Shared code knows no service": ("shared/types.py", "import services.risk"),
}


def lint(folder: Path) -> tuple[int, str]:
    result = subprocess.run(  # noqa: S603 - the tool of our own environment
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ("services", "shared", "cli"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_rule_holds(copy: Path) -> None:
    code, text = lint(copy)
    assert code == 0, text
    for rule in BREACHES:
        assert f"{rule} KEPT" in text


@pytest.mark.parametrize("rule", BREACHES)
def test_a_breach_is_caught(copy: Path, rule: str) -> None:
    file, line = BREACHES[rule]
    with (copy / file).open("a") as source:
        source.write(f"\n{line}\n")
    code, text = lint(copy)
    assert code == 1
    assert f"{rule} BROKEN" in text
