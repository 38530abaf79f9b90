"""Where a running copy of Millrace is: its URLs, ports and processes.

`millrace up` writes `<data folder>/run.json`; the other commands read it. Where no launcher runs, as in a
container, the settings say where Redis and PostgreSQL are, and each service answers under its own name.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Engine

from cli.errors import CommandError
from cli.servers import PostgresServer
from shared.config import Common, load
from shared.db.engine import engine
from shared.types import Mode

# In the order in which they are told to stop: who starts new work first, the broker last.
STOP_ORDER = (
    ("scheduler", "strategy", "scanner", "marketdata"),
    ("risk", "notifier"),
    ("execution",),
    ("gateway",),
    ("simulator",),
)
SERVICES = tuple(name for wave in STOP_ORDER for name in wave)
RUN_FILE = "run.json"
LOCK_FILE = "lock"
POSTGRES_FOLDER = "postgresql"


class ProcessIdentity(BaseModel):
    """A pid alone may be another program's by now; with the start time (seconds since 1970) it can't be."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float

    @staticmethod
    def of(pid: int) -> "ProcessIdentity":
        """
        Raises:
            psutil.NoSuchProcess: it has ended.
        """
        return ProcessIdentity(pid=pid, started=psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 0.1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class Deployment(BaseModel):
    """One copy: a mode, its two servers, and the base URL of every service's health endpoint."""

    model_config = ConfigDict(frozen=True)

    mode: Mode
    redis_url: str
    database_url: str
    services: dict[str, str]
    broker_port: int | None = None
    launcher: ProcessIdentity | None = None
    processes: dict[str, ProcessIdentity] = {}

    def write(self, data_folder: Path) -> None:
        """Replace run.json at once, readable by its owner only: the database URL may hold a password."""
        new = data_folder / f"{RUN_FILE}.new"
        new.touch(mode=0o600)
        new.write_text(self.model_dump_json(indent=2))
        new.replace(data_folder / RUN_FILE)


def read_run_file(data_folder: Path) -> Deployment | None:
    """What the newest `up` on this folder wrote, whether or not it still runs."""
    path = data_folder / RUN_FILE
    try:
        return Deployment.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise CommandError(f"{path} can't be read: {error.errors()[0]['msg']}; remove it") from error


def find(data_folder: Path) -> Deployment:
    """The copy that runs on this data folder, else the one that the settings name.

    Raises:
        CommandError: neither.
    """
    deployment = read_run_file(data_folder)
    if deployment and deployment.launcher and deployment.launcher.process():
        return deployment
    common = load(Common)
    if not common.model_fields_set & {"redis_url", "database_url"}:
        raise CommandError(
            f"nothing runs on {data_folder}; start it with 'millrace up', or name another folder with --data-folder"
        )
    return Deployment(
        mode=common.mode,
        redis_url=common.redis_url,
        database_url=common.database_url,
        services={name: f"http://{name}:{common.http_port}" for name in SERVICES},
    )


@contextmanager
def books(data_folder: Path) -> Generator[Engine]:
    """The database of the copy on this folder; one that is stopped has its PostgreSQL started for the question.

    Raises:
        CommandError: there is no copy.
    """
    try:
        deployment = find(data_folder)
    except CommandError:
        if not (data_folder / POSTGRES_FOLDER).exists():
            raise
        with locked(data_folder):
            server = PostgresServer(data_folder / POSTGRES_FOLDER)
            server.start()
            try:
                yield from _connected(server.url)
            finally:
                server.stop()
    else:
        yield from _connected(deployment.database_url)


def _connected(database_url: str) -> Generator[Engine]:
    database = engine(database_url)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def locked(data_folder: Path) -> Generator[None]:
    """Hold the data folder for this process; the kernel lets go of it when the process ends, however it ends.

    Raises:
        CommandError: another process holds it.
    """
    data_folder.mkdir(parents=True, exist_ok=True)
    with (data_folder / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CommandError(
                f"{data_folder} is in use by process {file.read().strip() or '(unknown)'};"
                " stop that one (Ctrl-C), or start another copy with --data-folder OTHER"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
