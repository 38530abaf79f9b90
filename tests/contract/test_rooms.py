"""The plan of the house: what every service folder holds, and what no file may do."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())
SOURCES = sorted(path for room in ("services", "shared", "cli") for path in (ROOT / room).rglob("*.py"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in SOURCES
    if path.name not in ("__init__.py", "__main__.py") and "migrations" not in path.parts
)
MOST_LINES = 320


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("service", SERVICES, ids=_relative)
def test_a_service_has_its_rooms(service: Path) -> None:
    for name in ("__main__.py", "app.py", "config.py", "core/__init__.py"):
        assert (service / name).exists(), name
    assert (service / "handlers.py").exists() or (service / "handlers").is_dir()
    one_sided = ("simulator", "backtest")  # their adapters stand for nothing else: there is no port to swap them at
    assert (service / "adapters").exists() == (service / "ports.py").exists() or service.name in one_sided
    doc = ast.get_docstring(ast.parse((service / "__init__.py").read_text())) or ""
    for word in ("Reads:", "Writes:", "Owns:"):
        assert word in doc, f"the docstring of {service.name} says nothing about {word}"


@pytest.mark.parametrize("service", SERVICES, ids=_relative)
def test_a_service_starts_with_three_statements(service: Path) -> None:
    tree = ast.parse((service / "__main__.py").read_text())
    statements = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    docstrings = [node for node in statements if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    assert len(statements) - len(docstrings) == 1, "imports, and one call of run()"


@pytest.mark.parametrize("source", SOURCES, ids=_relative)
def test_a_file_is_read_in_one_sitting(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= MOST_LINES


IMPORT_ALL = """
import importlib, os, sys, threading
def no_io(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove") or (
        event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    ):
        raise RuntimeError(f"{event} {arguments[:2]} at import time")
sys.addaudithook(no_io)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_any_module_does_nothing(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", IMPORT_ALL, *MODULES],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
