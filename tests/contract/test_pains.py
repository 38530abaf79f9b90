"""docs/pains.md: 25 pains that others report, each with tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "pains.md"
_ROW = re.compile(r"\| (?P<number>\d+) \| (?P<pain>[^|]+) \| (?P<answer>[^|]+) \| (?P<tests>[^|]+) \|")
_TEST = re.compile(r"`(?P<path>tests/[\w/]+\.py)::(?P<name>test_\w+)`")


def rows() -> list[re.Match[str]]:
    return [found for line in TABLE.read_text().splitlines() if (found := _ROW.fullmatch(line))]


def named_in(path: str) -> set[str]:
    """Names of the test functions of a file."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_25_rows() -> None:
    assert [int(row["number"]) for row in rows()] == list(range(1, 26))


def test_every_row_names_a_test_and_every_test_exists() -> None:
    missing: list[str] = []
    for row in rows():
        named = _TEST.findall(row["tests"])
        if not named:
            missing.append(f"row {row['number']} names no test")
        for path, name in named:
            if not (ROOT / path).is_file() or name not in named_in(path):
                missing.append(f"row {row['number']}: {path}::{name} does not exist")
    assert missing == []


def test_nothing_else_stands_in_the_column_of_tests() -> None:
    for row in rows():
        assert _TEST.sub("", row["tests"]).replace("<br>", "").strip() == ""
