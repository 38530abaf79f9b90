"""Results on disk: one folder each, `<id>/` with

- config.json: what was asked, ready to be asked again;
- summary.json: id, time, hashes and statistics, for people and for lists;
- result.json: trades, orders, assumptions, refusals, failures; curve.parquet: the account through time.

A folder appears whole or not at all: it is written beside the others under a name with a dot, then renamed.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import services
import shared
from services.backtest.config import RunConfig
from services.backtest.core.model import Curve, Fills, Gear, OrderSent, Result, Trade
from services.backtest.core.stored import Stored, inputs_hash
from shared.clock import WallClock
from shared.config import ConfigError

DECIDING = ("backtest", "strategy", "risk", "execution", "simulator")
"""The services that a result depends on, besides `shared`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A stored result without its trades, as a list shows it. `statistics` are by name; None where undefined."""

    id: str
    saved_at: datetime
    data_hash: str
    code_hash: str
    inputs_hash: str
    result_hash: str
    config: RunConfig
    statistics: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class _Body:
    """result.json: a `Result` without its curve."""

    gear: Gear
    fills: Fills
    cash: Decimal
    turnover: Decimal
    assumptions: tuple[str, ...]
    refusals: dict[str, int]
    failures: tuple[str, ...]
    trades: tuple[Trade, ...]
    orders: tuple[OrderSent, ...]


_BODY = TypeAdapter(_Body)
_SUMMARY = TypeAdapter(Summary)


def save(folder: Path, config: RunConfig, data_hash: str, result: Result) -> str:
    """Write a result under a new id, and return that."""
    code, now = code_hash(config.strategy_folder), WallClock().now()
    name = hashlib.sha256(f"{inputs_hash(config, data_hash, code)} {now.isoformat()}".encode()).hexdigest()[:10]
    stored = Stored(name, now, config, data_hash, code, result)
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    try:
        _write(draft, stored)
        draft.rename(folder / name)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return name


def list_results(folder: Path) -> list[Summary]:
    """All results in the folder, oldest first; none if it does not exist.

    Raises:
        ConfigError: one of them can't be read.
    """
    found = [_summary(path.parent) for path in folder.glob("[!.]*/summary.json")]
    return sorted(found, key=lambda summary: (summary.saved_at, summary.id))


def load(folder: Path, prefix: str) -> Stored:
    """The result whose id begins with `prefix`.

    Raises:
        ConfigError: no result or several do, or it can't be read.
    """
    names = sorted(path.parent.name for path in folder.glob("[!.]*/summary.json"))
    matching = [name for name in names if name.startswith(prefix)] if prefix else []
    if len(matching) != 1:
        known = f"begins {', '.join(matching)}" if matching else f"is none of {', '.join(names) or 'none stored yet'}"
        raise ConfigError(f"result = {prefix!r} {known}, in {folder}; give as much of an id as only one has")
    path = folder / matching[0]
    summary = _summary(path)
    try:
        body = _BODY.validate_json((path / "result.json").read_bytes())
        curve = _read_curve(path / "curve.parquet")
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    result = Result(
        body.gear, body.fills, body.cash, body.trades, body.orders, curve, body.assumptions, body.turnover,
        body.refusals, body.failures,
    )  # fmt: skip
    return Stored(summary.id, summary.saved_at, summary.config, summary.data_hash, summary.code_hash, result)


def code_hash(strategy_folder: Path | None) -> str:
    """Of the source files that decide a result, the user's own strategies among them; 64 hexadecimal digits."""
    roots = [Path(services.__path__[0]) / name for name in DECIDING] + [Path(shared.__path__[0])]
    if strategy_folder is not None:
        roots.append(strategy_folder)
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{root.name}/{path.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _write(path: Path, stored: Stored) -> None:
    import polars  # it takes a while to import, and the command line starts without it

    result, statistics = stored.result, stored.statistics
    numbers = asdict(statistics.account) | asdict(statistics.trades)
    summary = Summary(
        stored.id,
        stored.saved_at,
        stored.data_hash,
        stored.code_hash,
        stored.inputs_hash,
        stored.result_hash,
        stored.config,
        {name: None if number is None else float(number) for name, number in numbers.items()},
    )
    fields: dict[str, Any] = {name: getattr(result, name) for name in _Body.__dataclass_fields__}
    (path / "config.json").write_text(stored.config.model_dump_json(indent=2))
    (path / "summary.json").write_bytes(_SUMMARY.dump_json(summary, indent=2, exclude={"config"}))
    (path / "result.json").write_bytes(_BODY.dump_json(_Body(**fields), indent=2))
    curve = result.curve
    columns = {"time": curve.time, "value": curve.value, "exposure": curve.exposure, "benchmark": curve.benchmark}
    polars.DataFrame(columns).write_parquet(path / "curve.parquet")


def _read_curve(path: Path) -> Curve:
    import polars

    try:
        frame = polars.read_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise OSError(str(error)) from error
    return Curve(*(frame[name].to_numpy() for name in ("time", "value", "exposure", "benchmark")))


def _summary(path: Path) -> Summary:
    try:
        parts = json.loads((path / "summary.json").read_bytes())
        return _SUMMARY.validate_python(parts | {"config": json.loads((path / "config.json").read_bytes())})
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"result = {path} can't be read, delete it or use the version that wrote it: {error}")
