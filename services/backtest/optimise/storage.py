"""Where a study is kept: a file on this machine, or PostgreSQL for many machines. Both are Optuna's own storages.

Optuna alone would leave a killed worker's trials RUNNING for ever, and write a trial to PostgreSQL in twenty
statements while all other workers wait (12 ms measured; a set of ten years of daily bars takes 2 ms). So a trial is
written once, when it is finished, several in one transaction; and who is at work on which number is said by locks that
end with their process, however it ends.
"""

import fcntl
import json
import os
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import optuna
import psycopg
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

NUMBER = "number"
"""Name of the attribute that tells a trial's set."""
SCHEMA = "optuna"
_MAKING = 1  # an advisory lock of PostgreSQL has two keys: the study, which is not 0, and the number of a set
_MOST_NUMBERS = 2**40  # of a study, in the file of locks

# The server ends the session of a machine that vanished, and so its locks, after a minute.
_KEEPALIVE = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"


class Storage(Protocol):
    """A study's trials, by Optuna, and the claims of those at work on them. `study` is Optuna's id."""

    optuna: BaseStorage

    def alone(self) -> AbstractContextManager[None]:
        """For who makes a study: nobody else does meanwhile."""
        ...

    def finished(self, study: int) -> set[int]:
        """The numbers of the sets that are finished."""
        ...

    def claim(self, study: int, numbers: Sequence[int]) -> list[int]:
        """Those of the numbers that no other process is at work on; they are this one's until released."""
        ...

    def release(self, study: int, numbers: Sequence[int]) -> None: ...

    def add(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        """Write finished trials; they are there for good when this returns."""
        ...

    def close(self) -> None:
        """Let go of files and connections, and so of all claims."""
        ...


def open_storage(where: str, name: str) -> Storage:
    """`where` is `postgresql://...`, or a folder that then holds NAME.journal.

    Raises:
        psycopg.OperationalError: PostgreSQL does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if where.startswith("postgresql://"):
        return PostgresStorage(where)
    return FileStorage(Path(where), name)


class FileStorage:
    """NAME.journal, with locks on the bytes of the empty file NAME.claims: one byte for each number."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        journal = folder / f"{name}.journal"
        self.optuna: BaseStorage = JournalStorage(_Journal(journal))
        self._claims = (folder / f"{name}.claims").open("a+")

    @contextmanager
    def alone(self) -> Generator[None]:
        fcntl.flock(self._claims, fcntl.LOCK_EX)  # apart from the locks on its bytes
        yield
        fcntl.flock(self._claims, fcntl.LOCK_UN)

    def finished(self, study: int) -> set[int]:
        return {trial.user_attrs[NUMBER] for trial in self.optuna.get_all_trials(study, deepcopy=False)}

    def claim(self, study: int, numbers: Sequence[int]) -> list[int]:
        return [number for number in numbers if self._lock(study, number)]

    def _lock(self, study: int, number: int) -> bool:
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, study * _MOST_NUMBERS + number)
        except BlockingIOError:
            return False
        return True

    def release(self, study: int, numbers: Sequence[int]) -> None:
        for number in numbers:
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, study * _MOST_NUMBERS + number)

    def add(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        for trial in trials:
            self.optuna.create_new_trial(study, trial)

    def close(self) -> None:
        self._claims.close()


class _Journal(JournalFileBackend):
    """Appends under a lock that the kernel takes from a killed process at once; Optuna's own keeps others for 30 s.

    Whoever gets it cuts off the line that a killed process may have left unfinished. The disk is not waited for: what
    was written survives the process, and a machine that crashes loses some seconds, which are done again.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._journal.open("rb+") as journal:
            fcntl.flock(journal, fcntl.LOCK_EX)  # until it is closed
            size = journal.seek(0, os.SEEK_END)
            journal.seek(max(size - 1, 0))
            if journal.read(1) not in (b"\n", b""):
                journal.seek(0)
                journal.truncate(journal.read().rfind(b"\n") + 1)
            journal.seek(0, os.SEEK_END)
            journal.write(lines.encode())


class PostgresStorage:
    """Optuna's tables in a schema of their own: its migrations must not meet ours.

    Claims and writes go over one connection: who has lost his claims with it can't write either.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, options=f"-c search_path={SCHEMA}")
        self._connection.execute(_KEEPALIVE)
        with self.alone():
            exists = self._connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA]).fetchone()
            if exists != (True,):
                self._connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
            self._database = RDBStorage(
                url.replace("postgresql://", "postgresql+psycopg://", 1),
                engine_kwargs={"pool_pre_ping": True, "connect_args": {"options": f"-c search_path={SCHEMA}"}},
            )
        self.optuna: BaseStorage = get_storage(self._database)
        self._finished: dict[int, dict[int, int]] = {}  # of each study: id of a trial -> number of its set

    @contextmanager
    def alone(self) -> Generator[None]:
        self._connection.execute("SELECT pg_advisory_lock(0, %s)", [_MAKING])
        yield
        self._connection.execute("SELECT pg_advisory_unlock(0, %s)", [_MAKING])

    def finished(self, study: int) -> set[int]:
        known = self._finished.setdefault(study, {})
        query = (
            "SELECT trial_id, value_json FROM trials JOIN trial_user_attributes USING (trial_id)"
            " WHERE study_id = %s AND key = %s AND trial_id > %s"
        )
        found = self._connection.execute(query, [study, NUMBER, max(known, default=0)])
        known.update((trial, int(number)) for trial, number in found)
        return set(known.values())

    def claim(self, study: int, numbers: Sequence[int]) -> list[int]:
        query = "SELECT number FROM unnest(%s::int[]) number WHERE pg_try_advisory_lock(%s, number)"
        return [row[0] for row in self._connection.execute(query, [list(numbers), study])]

    def release(self, study: int, numbers: Sequence[int]) -> None:
        query = "SELECT pg_advisory_unlock(%s, number) FROM unnest(%s::int[]) number"
        self._connection.execute(query, [study, list(numbers)])

    def add(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Optuna's readers ask for ids above the highest they know, so ids must be committed in their order.
            cursor.execute("SELECT 1 FROM studies WHERE study_id = %s FOR UPDATE", [study])
            cursor.execute("SELECT count(*) FROM trials WHERE study_id = %s", [study])
            first = _only(cursor)
            ids: list[int] = []
            for number, trial in enumerate(trials, first):
                cursor.execute(
                    "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)"
                    " VALUES (%s, %s, %s, %s, %s) RETURNING trial_id",
                    [number, study, trial.state.name, *_times(trial)],
                )
                ids.append(_only(cursor))
            for table, columns, rows in _details(ids, trials):
                if rows:
                    values = ", ".join(["%s"] * len(rows[0]))
                    cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})".encode(), rows)  # noqa: S608

    def close(self) -> None:
        self._connection.close()
        self._database.remove_session()
        self._database.engine.dispose()


Details = tuple[str, str, list[tuple[Any, ...]]]


def _details(ids: Sequence[int], trials: Sequence[FrozenTrial]) -> list[Details]:
    """Table, columns and rows of what Optuna keeps beside `trials`."""
    both = list(zip(ids, trials, strict=True))
    params = [
        (id, name, trial.distributions[name].to_internal_repr(value), distribution_to_json(trial.distributions[name]))
        for id, trial in both for name, value in trial.params.items()
    ]  # fmt: skip
    values = [(id, place, value, "FINITE") for id, trial in both for place, value in enumerate(trial.values or ())]
    user = [(id, key, json.dumps(value)) for id, trial in both for key, value in trial.user_attrs.items()]
    system = [(id, key, json.dumps(value)) for id, trial in both for key, value in trial.system_attrs.items()]
    return [
        ("trial_params", "trial_id, param_name, param_value, distribution_json", params),
        ("trial_values", "trial_id, objective, value, value_type", values),
        ("trial_user_attributes", "trial_id, key, value_json", user),
        ("trial_system_attributes", "trial_id, key, value_json", system),
    ]


def _times(trial: FrozenTrial) -> tuple[datetime | None, datetime | None]:
    return trial.datetime_start, trial.datetime_complete


def _only(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - a count, and RETURNING, have a row
    return row[0]
