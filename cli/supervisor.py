"""Keeping processes alive: start, watch, start again after a pause, stop in order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cli.deployment import ProcessIdentity
from cli.errors import CommandError
from cli.lifeline import ends_with_parent

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
STEADY_SECONDS = 30  # who was up for this long starts again without a pause that grew
STOP_SECONDS = 10
CONFIGURATION_ERROR = 2  # exit code of a service whose settings can't be used: a restart would not help
SERVER_CHECK_SECONDS = 0.05


class Server(Protocol):
    """An embedded server, as `cli.servers` has them."""

    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Restart:
    """When to start again. Seconds, doubled with every early end."""

    delay: float = FIRST_DELAY_SECONDS

    def after(self, lived_seconds: float) -> float:
        """The pause before the next start of a process that lived this long."""
        if lived_seconds >= STEADY_SECONDS:
            self.delay = FIRST_DELAY_SECONDS
        pause, self.delay = self.delay, min(self.delay * 2, LONGEST_DELAY_SECONDS)
        return pause


@dataclass
class Service:
    """One program in a session of its own, so that Ctrl-C reaches only the launcher, which stops all in order.

    `started` is called with each new process; `ready` is False from then until someone has seen it ready.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    url: str
    started: Callable[[str, int], None]
    ready: bool = False
    restarts: int = 0
    exit_code: int | None = None
    _process: asyncio.subprocess.Process | None = None
    _stopping: bool = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def keep_running(self) -> None:
        """Run until `stop`.

        Raises:
            CommandError: it refused its settings.
        """
        restart = Restart()
        while not self._stopping:
            began = time.monotonic()
            self.exit_code = await self._run_once()
            if self._stopping:
                return
            if self.exit_code == CONFIGURATION_ERROR:
                raise CommandError(f"{self.name} can't use its settings:\n{_tail(self.log)}")
            self.restarts += 1
            await asyncio.sleep(restart.after(time.monotonic() - began))

    async def _run_once(self) -> int:
        self.ready = False
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ends_with_parent(signal.SIGKILL),
            )
        self.started(self.name, self._process.pid)
        if self._stopping:
            self._signal(signal.SIGTERM)  # `stop` came while it was being started
        exit_code = await self._process.wait()
        self.ready = False
        return exit_code

    @property
    def trouble(self) -> str | None:
        """What became of a process that does not run just now."""
        if self.pid is not None or self.exit_code is None:
            return None
        return f"ended with exit code {self.exit_code} and is started again; see {self.log}"

    def kill(self) -> None:
        """End it at once, as a crash would; it is started again."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Let it finish what it has in hand; end it when that takes too long."""
        self._stopping = True
        if self._process is None or self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, signal_number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal_number)


async def keep_server_running(name: str, server: Server, started: Callable[[str, int], None]) -> None:
    """Start an embedded server again whenever it ends; it keeps its port and its data. Runs until cancelled."""
    restart = Restart()
    identity, began = ProcessIdentity.of(server.pid), time.monotonic()
    while True:
        await asyncio.sleep(SERVER_CHECK_SECONDS)
        if identity.process() is None:
            await asyncio.sleep(restart.after(time.monotonic() - began))
            server.start()  # in this thread, which the server is to outlive no longer than the launcher does
            identity, began = ProcessIdentity.of(server.pid), time.monotonic()
            started(name, server.pid)


def _tail(log: Path, lines: int = 10) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
