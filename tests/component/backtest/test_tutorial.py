"""docs/tutorial.md, followed to the letter: its files, its commands, and what they print."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL | re.MULTILINE)
TOOLS = ("make", "mkdir", "sed", "rm", ".venv/bin/millrace")


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def typed(line: str) -> str:
    """What a command prints; the demo is left to the tests of the whole system, and `make` to whoever runs this."""
    words = shlex.split(line, comments=True)
    if words[0] != ".venv/bin/millrace":
        if words[0] != "make":
            subprocess.run(line, shell=True, check=True)  # noqa: S602 - the tutorial is ours
        return ""
    if words[1] == "demo":
        return ""
    if words[1:3] == ["backtest", "compare"]:
        saved = sorted(Path(".data/backtests").iterdir(), key=lambda folder: (folder / "summary.json").stat().st_mtime)
        words[3:] = [folder.name for folder in saved[-2:]]
    return CliRunner().invoke(app, words[1:]).output


def test_what_is_typed_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    settings = Path("config/strategy.toml")
    printed, shown = "", ""
    for language, text in BLOCKS:
        if language == "python":
            Path("strategies/dip.py").write_text(text)
        elif language == "toml":
            before = settings.read_text().replace("# strategy_folder", "strategy_folder")
            settings.write_text(before[: before.index("[[instances]]")] + text)
        elif text.startswith(TOOLS):
            printed = in_one_line("\n".join(typed(line) for line in text.replace("\\\n", "").splitlines()))
        elif "NetLiquidation" in text:
            shown = text
        else:
            parts = [in_one_line(part) for line in text.splitlines() for part in line.split("...")]
            assert [part for part in parts if part not in printed] == []
    (worth,) = re.findall(r"NetLiquidation +([\d,.]+)", shown)
    value = float(worth.replace(",", ""))
    assert f"Net {value - 1_000_000:,.2f}" in printed, "the last backtest's result is the demo's"
