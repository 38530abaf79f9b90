"""`millrace demo` as a person runs it: real prices, every service, books against the broker."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(400)


def millrace(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "cli.main", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(server_folder: Path) -> tuple[Path, Path, subprocess.CompletedProcess[str]]:
    folder, result = server_folder / "demo", server_folder / "demo.json"
    run = millrace("demo", "--sessions", "60", "--data-folder", str(folder), "--json", str(result))
    return folder, result, run


def test_it_trades_and_its_books_are_the_brokers(demo: tuple[Path, Path, subprocess.CompletedProcess[str]]) -> None:
    _, path, run = demo
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OK: equal to the cent" in run.stdout
    result = json.loads(path.read_text())
    books = {name: Decimal(value) for name, value in result["books"].items() if name != "agree"}
    value = books["start_cash"] + books["realised"] - books["commissions"] + books["unrealised"]
    assert value.quantize(Decimal("0.01")) == books["net_liquidation"].quantize(Decimal("0.01"))
    filled = [order for order in result["orders"] if order["status"] == "FILLED"]
    assert len(filled) >= 20
    assert len({order["symbol"] for order in filled}) >= 4
    assert {fill["leg"] for fill in result["fills"]} == {"entry", "stop", "target"}


def test_an_orders_whole_story_can_be_asked_for_afterwards(
    demo: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, path, _ = demo
    fill = json.loads(path.read_text())["fills"][-1]
    story = millrace("why", fill["order_ref"], "--data-folder", str(folder))
    assert story.returncode == 0, story.stderr
    for pattern in (
        rf"bar +{fill['symbol']} 1 day, closed 2012-",
        r"signal +\S+: enter BUY",
        r"risk +2012-\S+ \S+  approved",
        r"max_positions +\d+ +at most \d+ +ok",
        rf"entry +{fill['order_id']}: BUY [\d,]+ limit [\d.]+ DAY  FILLED",
        r"INTENT -> SUBMITTED",
        rf"commission [\d.]+, realised \S+, execution {re.escape(fill['execution_id'])}",
    ):
        assert re.search(pattern, story.stdout), f"{pattern}\n{story.stdout}"


def test_a_folder_that_is_no_demos_is_left_alone(server_folder: Path) -> None:
    folder = server_folder / "books"
    folder.mkdir()
    (folder / "ledger").touch()
    run = millrace("demo", "--sessions", "1", "--data-folder", str(folder))
    assert run.returncode == 1
    assert "holds data that no demo made" in run.stderr
    assert (folder / "ledger").exists()


def test_dates_without_a_session_are_refused() -> None:
    run = millrace("demo", "--from", "2012-07-07", "--to", "2012-07-08")
    assert run.returncode == 1
    assert "no exchange session" in run.stderr
    assert millrace("demo", "--from", "yesterday").returncode == 2
