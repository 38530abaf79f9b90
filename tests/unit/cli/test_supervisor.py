"""Real processes: started again, refused, stopped, and gone with their parent."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cli import supervisor
from cli.errors import CommandError
from cli.supervisor import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, STEADY_SECONDS, Restart, Service
from tests.tools import eventually

ROOT = Path(__file__).parents[3]


def service(folder: Path, program: str, pids: list[int]) -> Service:
    return Service(
        "example",
        (sys.executable, "-c", program),
        dict(os.environ),
        folder / "example.log",
        "http://127.0.0.1:1",
        lambda _, pid: pids.append(pid),
    )


def test_the_pause_doubles_to_its_limit_and_starts_over_after_a_steady_life() -> None:
    restart = Restart()
    pauses = [restart.after(1) for _ in range(8)]
    assert pauses[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert pauses[-1] == LONGEST_DELAY_SECONDS
    assert restart.after(STEADY_SECONDS) == FIRST_DELAY_SECONDS


async def test_a_killed_process_is_started_again_and_is_not_ready_until_seen_so(tmp_path: Path) -> None:
    pids: list[int] = []
    watched = service(tmp_path, "import time; time.sleep(60)", pids)
    running = asyncio.create_task(watched.keep_running())
    await eventually(lambda: pids)
    watched.ready = True
    watched.kill()
    await eventually(lambda: len(pids) == 2)
    assert pids[0] != pids[1]
    assert watched.restarts == 1
    assert not watched.ready
    await watched.stop()
    await asyncio.wait_for(running, 5)
    assert not psutil.pid_exists(pids[1])


async def test_a_process_that_refuses_its_settings_is_not_started_again(tmp_path: Path) -> None:
    pids: list[int] = []
    refusing = service(tmp_path, "import sys; print('speed = -1 is not allowed'); sys.exit(2)", pids)
    with pytest.raises(CommandError, match="example can't use its settings:\nspeed = -1 is not allowed"):
        await asyncio.wait_for(refusing.keep_running(), 10)
    assert len(pids) == 1


async def test_a_process_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    pids: list[int] = []
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    watched = service(tmp_path, deaf, pids)
    running = asyncio.create_task(watched.keep_running())
    await eventually(lambda: watched.log.exists() and "deaf" in watched.log.read_text())
    await watched.stop()
    await running
    assert not psutil.pid_exists(pids[0])


async def test_what_ended_says_with_which_code(tmp_path: Path) -> None:
    watched = service(tmp_path, "import sys; sys.exit(1)", [])
    running = asyncio.create_task(watched.keep_running())
    await eventually(lambda: watched.trouble is not None)
    assert "exit code 1" in str(watched.trouble)
    await watched.stop()
    running.cancel()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of their parent's end")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent_program = (
        "import signal, subprocess, sys, time\n"
        "from cli.lifeline import ends_with_parent\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " preexec_fn=ends_with_parent(signal.SIGKILL), start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", parent_program], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
