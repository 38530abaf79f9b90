"""The journal: every command that changes the broker's state, one JSON object per line.

Replaying the lines through a fresh engine on the same market gives the same state, ids included. A line is in the
hands of the operating system before its command is carried out, so a kill at any point loses nothing that a client
was told. Everything but the passing of time is also forced to the disk: if a power failure takes the last moves of
time, moving it again brings the same fills with the same ids.
"""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self

from pydantic import TypeAdapter, ValidationError

from services.simulator.core.engine import Engine
from services.simulator.core.orders import Event, OrderRequest
from shared.config import ConfigError

FORMAT = 2
"""Raised whenever the same lines would no longer mean the same: a command, a field, or what the engine makes of it."""

COMMANDS: Mapping[str, TypeAdapter[tuple[Any, ...]]] = MappingProxyType(
    {
        "advance": TypeAdapter(tuple[datetime]),
        "place": TypeAdapter(tuple[OrderRequest]),
        "cancel": TypeAdapter(tuple[int, int]),
        "cancel_all": TypeAdapter(tuple[()]),
        "drop_held": TypeAdapter(tuple[int]),
        "exercise": TypeAdapter(tuple[str, int, Decimal, bool, bool]),
        "edit_position": TypeAdapter(tuple[str, int, Decimal, Decimal]),
        "correct": TypeAdapter(tuple[str, Decimal]),
    }
)
"""The engine's methods that are commands, and the types of their arguments."""


class Journal:
    """An append-only file of commands. `identity` says what market and accounts it belongs to."""

    def __init__(self, path: Path | None, identity: str) -> None:
        """Open or create the journal; without a path nothing outlives the process.

        Raises ConfigError when the file belongs to other settings or to another version of the simulator.
        """
        self._path = path
        self._file: BinaryIO | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        _cut_torn_line(path)
        head = {"format": FORMAT, "identity": identity}
        first = next(self._entries(), None)
        if first is not None:
            _check_head(path, first, head)
        self._file = path.open("ab")
        if first is None:
            self._append(head, lasting=True)

    def _entries(self) -> Iterator[dict[str, Any]]:
        if self._path is None:
            return
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ConfigError(f"{self._path}, line {number} is damaged: {error}; move the file away") from error

    def _append(self, entry: Mapping[str, Any], *, lasting: bool) -> None:
        if self._file is None:
            return
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if lasting:
            os.fsync(self._file.fileno())

    def replay(self, engine: Engine) -> int:
        """Carry out all recorded commands on a fresh engine; return how many."""
        count = 0
        for entry in self._entries():
            if "identity" in entry:
                continue
            for name, plain in entry.items():
                arguments = _arguments(name, plain)
                getattr(engine, name)(*arguments)
            count += 1
        return count

    def carry_out(self, engine: Engine, name: str, *arguments: object) -> list[Event]:
        """Write a command of `COMMANDS`, then do it. Arguments take the way through their own text.

        So a replay sees exactly what was done.
        """
        plain = COMMANDS[name].dump_python(arguments, mode="json")
        read_back = _arguments(name, plain)
        self._append({name: plain}, lasting=name != "advance")
        return getattr(engine, name)(*read_back)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Drop what follows the last complete line: a kill in mid-write leaves it, and nothing was answered on it."""
    whole = path.read_bytes().rfind(b"\n") + 1
    os.truncate(path, whole)


def _check_head(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if found.get("format") != wanted["format"]:
        raise ConfigError(
            f"{path} was written by another version of the simulator (format {found.get('format', 1)}, this is "
            f"{FORMAT}); move the file away to start afresh"
        )
    if found != wanted:
        raise ConfigError(
            f"{path} was written with another market, account or commission; "
            "restore those settings, or move the file away to start afresh"
        )


def _arguments(name: str, plain: list[Any]) -> tuple[Any, ...]:
    adapter = COMMANDS.get(name)
    if adapter is None:
        raise ConfigError(f"journal: unknown command {name!r}; it was written by another version")
    try:
        return adapter.validate_python(plain)
    except ValidationError as error:
        raise ConfigError(f"journal: {name} {plain!r} cannot be read: {error}; move the file away") from error
