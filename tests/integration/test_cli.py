"""A whole copy under the launcher: started, asked, shaken, stopped."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis

from cli.deployment import SERVICES, Deployment, read_run_file
from tests.tools import eventually

ROOT = Path(__file__).parents[2]
START_SECONDS = 100
pytestmark = pytest.mark.timeout(240)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}


class Launcher:
    """`millrace up` as a process; its market stands still (`--speed 0`)."""

    def __init__(self, data_folder: Path) -> None:
        self.data_folder = data_folder
        self.output = data_folder.with_suffix(".out")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "cli.main", "up", "--speed", "0", "--data-folder", str(data_folder)],
                cwd=ROOT,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def deployment(self) -> Deployment:
        found = read_run_file(self.data_folder)
        assert found is not None
        return found

    async def until_started(self) -> None:
        def started() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return "Millrace runs" in self.output.read_text()

        await eventually(started, START_SECONDS)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def up(server_folder: Path) -> Iterator[Callable[[str], Launcher]]:
    """Starts a copy; at the end all are stopped. The tests below share the copy `whole`, in their order."""
    launchers: list[Launcher] = []

    def start(name: str) -> Launcher:
        launchers.append(Launcher(server_folder / name))
        return launchers[-1]

    yield start
    for launcher in launchers:
        launcher.stop()


def millrace(data_folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "cli.main", *words, "--data-folder", str(data_folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def alive(deployment: Deployment) -> list[str]:
    return [name for name, identity in deployment.processes.items() if identity.process()]


@pytest.fixture(scope="module")
def whole(up: Callable[[str], Launcher]) -> Launcher:
    launcher = up("whole")
    asyncio.run(launcher.until_started())
    return launcher


def test_it_runs_and_says_so(whole: Launcher) -> None:
    assert set(whole.deployment.processes) == {*SERVICES, "redis", "postgresql"}
    status = millrace(whole.data_folder, "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "simulated" in status.stdout
    assert "ACTIVE" in status.stdout


def test_a_second_one_on_its_folder_is_refused(whole: Launcher) -> None:
    second = millrace(whole.data_folder, "up")
    assert second.returncode == 1
    assert f"in use by process {whole.process.pid}" in second.stderr


def test_a_halt_holds_until_the_resume(whole: Launcher) -> None:
    folder = whole.data_folder
    halted = millrace(folder, "halt", "--reason", "lunch")
    assert "HALTED" in halted.stdout, halted.stderr
    assert "ACTIVE" in millrace(folder, "resume").stdout
    message = millrace(folder, "streams", "control.commands", "-n", "2")
    halt = json.loads(message.stdout.split("\n", 1)[1].split("\n}\n")[0] + "\n}")
    assert (halt["type"], halt["source"], halt["data"]["reason"]) == ("Halt", "cli", "lunch")
    assert halt["time"][:4] == "2012", "the market's time, not ours"
    assert "HALTED" in millrace(folder, "flatten").stdout
    assert "ACTIVE" in millrace(folder, "resume").stdout


def test_a_stream_that_does_not_exist_is_refused_with_those_that_do(whole: Launcher) -> None:
    refused = millrace(whole.data_folder, "streams", "orders")
    assert "there is no stream 'orders'" in refused.stderr
    assert "order.events" in refused.stderr


async def test_what_dies_comes_back_with_its_data(whole: Launcher) -> None:
    before = whole.deployment
    with Redis.from_url(before.redis_url) as redis:
        entries = redis.xlen("broker.events")
    assert entries
    for name in ("redis", "risk"):
        os.kill(before.processes[name].pid, signal.SIGKILL)

    def back() -> bool:
        now = whole.deployment
        return all(now.processes[name] != before.processes[name] for name in ("redis", "risk")) and ready(now)

    def ready(now: Deployment) -> bool:
        try:
            return all(httpx.get(f"{url}/readyz").status_code == 200 for url in now.services.values())
        except httpx.TransportError:
            return False

    await eventually(back, 60)
    assert whole.deployment.redis_url == before.redis_url
    with Redis.from_url(before.redis_url) as redis:
        assert redis.xlen("broker.events") >= entries


async def test_a_killed_launcher_takes_its_own_along_and_the_next_one_starts(
    up: Callable[[str], Launcher], whole: Launcher
) -> None:
    launcher = up("orphaned")
    await launcher.until_started()
    deployment = launcher.deployment
    children = [identity.process() for identity in deployment.processes.values()]
    launcher.process.kill()
    launcher.process.wait()
    if sys.platform.startswith("linux"):
        _, left = psutil.wait_procs([child for child in children if child], timeout=20)
        assert [child.name() for child in left] == []
    again = up("orphaned")
    await again.until_started()
    assert alive(deployment) == []
    assert len(alive(whole.deployment)) == len(whole.deployment.processes), "another copy beside it goes on"
    assert again.stop() == 0


def test_stopped_it_leaves_nothing_behind_but_its_books(whole: Launcher) -> None:
    deployment = whole.deployment
    assert whole.stop() == 0
    assert alive(deployment) == []
    assert "nothing runs on" in millrace(whole.data_folder, "status").stderr
    stopped = millrace(whole.data_folder, "orders")
    assert (stopped.returncode, stopped.stdout) == (0, "no orders yet\n")


def test_a_bad_setting_is_refused_with_key_and_value(server_folder: Path) -> None:
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "cli.main", "up", "--data-folder", str(server_folder / "bad")],
        cwd=ROOT,
        env=environment() | {"MILLRACE_RISK__MAX_POSITIONS": "-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert run.returncode == 1
    assert "risk can't use its settings" in run.stderr
    assert "max_positions = -1 is not allowed" in run.stderr
