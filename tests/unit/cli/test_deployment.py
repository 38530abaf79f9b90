"""Finding the running copy, and holding its folder."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.deployment import Deployment, ProcessIdentity, find, locked, read_run_file
from cli.errors import CommandError
from shared.config import CONFIG_FOLDER
from shared.types import Mode

ROOT = Path(__file__).parents[3]
COPY = Deployment(
    mode=Mode.SIMULATED,
    redis_url="redis://127.0.0.1:1/0",
    database_url="postgresql://millrace:secret@127.0.0.1:2/millrace",
    services={"risk": "http://127.0.0.1:3"},
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MILLRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(CONFIG_FOLDER, str(ROOT / "config"))


def test_a_copy_whose_launcher_lives_is_found(tmp_path: Path) -> None:
    copy = COPY.model_copy(update={"launcher": ProcessIdentity.of(os.getpid())})
    copy.write(tmp_path)
    assert find(tmp_path) == copy
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


def test_a_copy_whose_launcher_is_gone_does_not_run(tmp_path: Path) -> None:
    own = ProcessIdentity.of(os.getpid())
    COPY.model_copy(update={"launcher": ProcessIdentity(pid=own.pid, started=own.started - 60)}).write(tmp_path)
    with pytest.raises(CommandError, match=r"nothing runs on .*; start it with 'millrace up'"):
        find(tmp_path)


def test_without_a_launcher_the_settings_name_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_REDIS_URL", "redis://redis:6379/0")
    found = find(tmp_path)
    assert found.redis_url == "redis://redis:6379/0"
    assert found.services["gateway"] == "http://gateway:8080"


def test_a_damaged_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CommandError, match=r"run\.json can't be read"):
        read_run_file(tmp_path)


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from cli.deployment import locked; from cli.errors import CommandError\n"
        f"try:\n  with locked(Path({str(tmp_path)!r})): print('held')\n"
        "except CommandError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program]
    with locked(tmp_path):
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own program
    assert f"is in use by process {os.getpid()}" in refused
    assert "--data-folder OTHER" in refused
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "held\n"  # noqa: S603 - as above
