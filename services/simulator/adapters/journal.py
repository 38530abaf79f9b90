"""The journal: every command that changes the broker's state, one JSON object per line.

Replaying the lines through a fresh engine on the same market gives the same state, ids included. A line is in the
hands of the operating system before its command is carried out, so a kill at any point loses nothing that a client
was told. Orders and cancels are also forced to the disk. Time alone is not: if a power failure takes the last moves
of time, moving it again brings the same fills with the same ids.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Self

from services.simulator.core.engine import Engine
from services.simulator.core.orders import Event, OrderRequest
from shared.config import ConfigError

_DECIMALS = ("quantity", "limit_price", "stop_price")


class Journal:
    """An append-only file of commands. `identity` says what market and account it belongs to."""

    def __init__(self, path: Path, identity: str) -> None:
        """Open or create the journal. Raises ConfigError when it belongs to other settings."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._path = path
        self._cut_torn_line()
        first = next(self._entries(), None)
        if first not in (None, {"identity": identity}):
            raise ConfigError(
                f"{path} was written with another market, account or commission; "
                "restore those settings, or move the file away to start afresh"
            )
        self._file: BinaryIO = path.open("ab")
        if first is None:
            self._append({"identity": identity})

    def _cut_torn_line(self) -> None:
        """Drop what follows the last complete line: a kill in mid-write leaves it, and nothing was answered on it."""
        whole = self._path.read_bytes().rfind(b"\n") + 1
        os.truncate(self._path, whole)

    def _entries(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ConfigError(f"{self._path}, line {number} is damaged: {error}; move the file away") from error

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if "advance" not in entry:
            os.fsync(self._file.fileno())

    def replay(self, engine: Engine) -> int:
        """Carry out all recorded commands on a fresh engine; return how many."""
        count = 0
        for entry in self._entries():
            if "identity" not in entry:
                _carry_out(engine, entry)
                count += 1
        return count

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, engine: Engine, to: datetime) -> list[Event]:
        return self._record(engine, {"advance": to.isoformat()})

    def place(self, engine: Engine, request: OrderRequest) -> list[Event]:
        return self._record(engine, {"place": _to_json(request)})

    def cancel(self, engine: Engine, client_id: int, order_id: int) -> list[Event]:
        return self._record(engine, {"cancel": [client_id, order_id]})

    def cancel_all(self, engine: Engine) -> list[Event]:
        return self._record(engine, {"cancel_all": True})

    def drop_held(self, engine: Engine, client_id: int) -> list[Event]:
        return self._record(engine, {"drop_held": client_id})

    def _record(self, engine: Engine, entry: dict[str, Any]) -> list[Event]:
        """Write, then do. A command read back from its own text, so that a replay sees exactly what was done."""
        self._append(entry)
        return _carry_out(engine, entry)


def _carry_out(engine: Engine, entry: dict[str, Any]) -> list[Event]:
    match entry:
        case {"advance": str(to)}:
            return engine.advance(datetime.fromisoformat(to))
        case {"place": _}:
            return engine.place(_from_json(entry["place"]))
        case {"cancel": [int(client_id), int(order_id)]}:
            return engine.cancel(client_id, order_id)
        case {"cancel_all": True}:
            return engine.cancel_all()
        case {"drop_held": int(client_id)}:
            return engine.drop_held(client_id)
        case _:
            raise ConfigError(f"journal: unknown command {entry!r}; it was written by another version")


def _to_json(request: OrderRequest) -> dict[str, Any]:
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _from_json(values: dict[str, Any]) -> OrderRequest:
    decimals: dict[str, Any] = {name: Decimal(values[name]) for name in _DECIMALS if values[name] is not None}
    return OrderRequest(**(values | decimals))
