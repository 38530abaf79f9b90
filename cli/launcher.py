"""One copy of Millrace on this machine: its two servers, the simulator and every service, as supervised processes."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from cli.deployment import (
    LOCK_FILE,
    POSTGRES_FOLDER,
    SERVICES,
    STOP_ORDER,
    Deployment,
    ProcessIdentity,
    locked,
    read_run_file,
)
from cli.errors import CommandError
from cli.servers import PostgresServer, RedisServer
from cli.supervisor import Service, keep_server_running
from shared.config import CONFIG_FOLDER, Common, load
from shared.db.engine import migrate
from shared.types import Mode

HOST = "127.0.0.1"
READY_CHECK_SECONDS = 0.1
FRESH_MARK = "demo"  # a file that marks a folder as free to be emptied
STALE_SECONDS = 10  # for a process that a killed launcher left to end by itself


@dataclass(frozen=True)
class Options:
    """What a person chose. `settings` are overrides in the spelling of the environment (MILLRACE_...).

    With `first_port` Redis, PostgreSQL, the simulator and the health endpoints take consecutive ports; without it
    any free ones. `fresh` empties a data folder that an earlier fresh copy made.
    """

    data_folder: Path
    config_folder: Path
    first_port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    fresh: bool = False


class Copy:
    """A running copy. `deployment` is what run.json says."""

    def __init__(self, options: Options) -> None:
        self.data_folder = options.data_folder.absolute()
        self.environment = {**os.environ, **options.settings, CONFIG_FOLDER: str(options.config_folder.absolute())}
        self.mode = load(Common, self.environment).mode
        self.names = [name for name in SERVICES if name != "simulator" or self.mode is Mode.SIMULATED]
        ports = choose_ports(options.first_port, 3 + len(self.names))
        self.redis = RedisServer(self.data_folder / "redis", ports[0])
        self.postgres = PostgresServer(self.data_folder / POSTGRES_FOLDER, ports[1])
        self.broker_port = ports[2] if self.mode is Mode.SIMULATED else None
        self._health_ports = dict(zip(self.names, ports[3:], strict=True))
        self.services: dict[str, Service] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[str, ProcessIdentity] = {}

    @property
    def log_folder(self) -> Path:
        return self.data_folder / "logs"

    @property
    def deployment(self) -> Deployment:
        return Deployment(
            mode=self.mode,
            redis_url=self.redis.url,
            database_url=self.postgres.url,
            services={name: f"http://{HOST}:{port}" for name, port in self._health_ports.items()},
            broker_port=self.broker_port,
            launcher=ProcessIdentity.of(os.getpid()),
            processes=self._processes,
        )

    async def start(self) -> None:
        """Start everything; returns once the processes are there, which is before they are ready.

        Raises:
            ServerError: Redis or PostgreSQL can't run here.
        """
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self.redis.start()
        self.postgres.start()
        await asyncio.to_thread(migrate, self.postgres.url)
        for name, server in (("redis", self.redis), ("postgresql", self.postgres)):
            self._started(name, server.pid)
            self._tasks.append(asyncio.create_task(keep_server_running(name, server, self._started)))
        for name in reversed(self.names):
            self.services[name] = self._service(name)
            self._tasks.append(asyncio.create_task(self.services[name].keep_running()))

    def _service(self, name: str) -> Service:
        settings = {
            "MODE": self.mode.value,
            "REDIS_URL": self.redis.url,
            "DATABASE_URL": self.postgres.url,
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(self._health_ports[name]),
            "LOG_FOLDER": str(self.log_folder),
            "DATA_FOLDER": str(self.data_folder),
            "CONSUMER": name,
        }
        if self.broker_port is not None:
            address = {"HOST": HOST, "PORT": str(self.broker_port)}
            settings |= {
                f"{owner}__{key}": value for owner in ("SIMULATOR", "GATEWAY") for key, value in address.items()
            }
        return Service(
            name,
            (sys.executable, "-m", f"services.{name}"),
            self.environment | {f"MILLRACE_{key}": value for key, value in settings.items()},
            self.log_folder / f"{name}.console.log",
            f"http://{HOST}:{self._health_ports[name]}",
            self._started,
        )

    def _started(self, name: str, pid: int) -> None:
        try:
            self._processes[name] = ProcessIdentity.of(pid)
        except psutil.NoSuchProcess:
            return  # it has ended already, and its next start will be written down
        self.deployment.write(self.data_folder)

    async def supervise(self) -> None:
        """Wait for what can't be helped by a restart.

        Raises:
            CommandError: a service refused its settings.
            ServerError: Redis or PostgreSQL does not start again.
        """
        await asyncio.gather(*self._tasks)

    async def unready(self) -> dict[str, str]:
        """Service -> why it can't work yet. One that was seen ready is asked again only after a restart."""
        waiting = [service for service in self.services.values() if not service.ready]
        if not waiting:
            return {}
        async with httpx.AsyncClient(timeout=5) as client:
            answers = await asyncio.gather(*(readiness(client, service.url) for service in waiting))
        reasons: dict[str, str] = {}
        for service, answer in zip(waiting, answers, strict=True):
            reason = service.trouble or answer
            service.ready = reason is None
            if reason:
                reasons[service.name] = reason
        return reasons

    async def until_ready(self, seconds: float) -> dict[str, str]:
        """Wait for all services; returns why some are not ready when the time is up."""
        deadline = time.monotonic() + seconds
        while True:
            reasons = await self.unready()
            if not reasons or time.monotonic() > deadline:
                return reasons
            await asyncio.sleep(READY_CHECK_SECONDS)

    def kill(self, name: str) -> None:
        """End a service or `redis` at once, as a crash would; it is started again."""
        if process := self._processes[name].process():
            process.kill()

    async def stop(self) -> None:
        """Let the services finish in order, then stop the servers."""
        for wave in STOP_ORDER:
            await asyncio.gather(*(self.services[name].stop() for name in wave if name in self.services))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.redis.stop()
        self.postgres.stop()


async def readiness(client: httpx.AsyncClient, url: str) -> str | None:
    """None when ready, else the service's own reason."""
    try:
        answer = await client.get(f"{url}/readyz")
    except httpx.HTTPError:
        return "does not answer yet"
    return None if answer.status_code == 200 else answer.text.strip()


async def run(options: Options, announce: Callable[[], None], work: Callable[[Copy], Awaitable[None]]) -> bool:
    """Start a copy, work with it, stop it. Ctrl-C and SIGTERM end the work; returns whether it was ended so.

    `announce` is called once the folder is ours, before anything starts.

    Raises:
        CommandError: the folder is in use, or a service refused its settings.
        ServerError: Redis or PostgreSQL can't run.
    """
    with locked(options.data_folder):
        announce()
        _end_stale(options.data_folder)
        if options.fresh:
            empty_folder(options.data_folder)
        copy = Copy(options)

        async def start_and_work() -> None:
            await copy.start()
            worker, watcher = asyncio.ensure_future(work(copy)), asyncio.create_task(copy.supervise())
            try:
                await asyncio.wait((worker, watcher), return_when=asyncio.FIRST_COMPLETED)
                (worker if worker.done() else watcher).result()
            finally:
                worker.cancel()
                watcher.cancel()
                await asyncio.gather(worker, watcher, return_exceptions=True)

        main = asyncio.create_task(start_and_work())
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, main.cancel)
        try:
            await asyncio.wait((main,))
        finally:
            await copy.stop()
        if main.cancelled():
            return True
        main.result()
        return False


def choose_ports(first: int | None, count: int) -> list[int]:
    """Consecutive ports, or free ones, all different."""
    if first is not None:
        if not 1024 <= first <= 65536 - count:
            raise CommandError(f"--first-port {first} leaves no room for {count} ports; choose 1024 to {65536 - count}")
        return list(range(first, first + count))
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def empty_folder(data_folder: Path) -> None:
    """Remove what an earlier fresh copy left; the folder of any other copy is somebody's books.

    Raises:
        CommandError: the folder holds something else.
    """
    mark = data_folder / FRESH_MARK
    found = [path for path in data_folder.iterdir() if path.name != LOCK_FILE]
    if found and not mark.exists():
        raise CommandError(
            f"{data_folder} holds data that no demo made; choose another folder with --data-folder OTHER"
        )
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
    mark.touch()


def _end_stale(data_folder: Path) -> None:
    """End what a launcher that was killed left behind on this folder; the caller holds the folder's lock."""
    left = read_run_file(data_folder)
    processes = {
        name: process for name, identity in (left.processes if left else {}).items() if (process := identity.process())
    }
    for name, process in processes.items():
        process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
    _, alive = psutil.wait_procs(list(processes.values()), timeout=STALE_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive)
