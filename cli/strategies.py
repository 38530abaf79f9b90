"""`millrace strategies` and `millrace check-strategy`: what there is, and whether it is honest."""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args
from zoneinfo import ZoneInfo

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.backtest import listed, pairs
from cli.errors import CommandError
from cli.text import make_console, plain_table
from services.strategy.config import Settings
from shared.config import CONFIG_FOLDER, ConfigError, load
from shared.types import Timeframe

if TYPE_CHECKING:  # these import TA-Lib, which other commands do without
    from services.simulator.adapters.sources import PriceFile
    from services.strategy.core.bars import Bars
    from services.strategy.core.strategy import Strategy

_MADE_UP_BARS = {Timeframe.DAY: 1000, Timeframe.MINUTE: 3000}
_COLUMNS = ("open", "high", "low", "close", "volume")
_DISTANCES = ("stop", "target")
_LEAST_TRIES, _BARS_TRIED = 100, 50_000_000  # prefixes of long histories cost, so there are fewer of them
_SEEN = 10  # bars that are named where live and backtest differ
_MOST_DIFFERENT = 0.01
_WORDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}

ConfigFolder = Annotated[Path, typer.Option("--config", envvar=CONFIG_FOLDER, help="Folder of the TOML files.")]
CONFIG = Path("config")


def strategies(
    name: Annotated[str | None, typer.Argument(help="One strategy, to see its parameters.")] = None,
    config: ConfigFolder = CONFIG,
) -> None:
    """The strategies that were found; of one, its parameters with bounds and defaults."""
    from services.strategy.catalogue import find_strategies

    console = make_console()
    found = find_strategies(_settings(config).strategy_folder)
    if name is not None:
        kind = found.named(name)
        console.print("\n".join(_texts(kind)), markup=False, soft_wrap=True)
        console.print(_parameters(kind))
        return
    table = plain_table("strategy", "what it does", wrap=("what it does",))
    for known, kind in sorted(found.strategies.items()):
        table.add_row(known, escape(next(iter(_texts(kind)), "")))
    console.print(table)
    for known, problem in sorted(found.problems.items()):
        console.print(f"[red]{escape(known)} can't be used: {escape(problem)}[/red]")


def _texts(kind: "type[Strategy]") -> list[str]:
    """The lines that its file and its class say about it."""
    texts = (getattr(sys.modules.get(kind.__module__), "__doc__", None), kind.__doc__)
    return [line for text in texts if text for line in inspect.cleandoc(text).splitlines() if line]


def _parameters(kind: "type[Strategy]") -> Table:
    from services.strategy.core.vertical import SpreadStrategy

    table = plain_table("parameter", "default", "allowed", "what it is", wrap=("allowed", "what it is"))
    for name, field in sorted(kind.model_fields.items(), key=lambda item: item[0] in _DISTANCES):
        if name in _DISTANCES and issubclass(kind, SpreadStrategy):
            continue  # the vertical has its own
        for row in _rows(name, field, field.get_default(call_default_factory=True)):
            table.add_row(*map(escape, row))
    return table


def _rows(name: str, field: FieldInfo, default: Any) -> Iterator[tuple[str, str, str, str]]:
    """A field as a line of the table; a model is a line for each of its fields, except for a distance."""
    from services.strategy.core.strategy import Distance, Strategy

    parts = get_args(field.annotation) or (field.annotation,)
    models = [part for part in parts if inspect.isclass(part) and issubclass(part, BaseModel)]
    description = field.description or getattr(Strategy.model_fields.get(name), "description", None) or ""
    if Distance in models:
        chosen: dict[str, Any] = default.model_dump(exclude_unset=True) if default is not None else {}
        shown = ", ".join(f"{key} = {value}" for key, value in chosen.items()) or "none"
        yield name, shown, "fraction, atr_multiple or none", description
        return
    for model in models:
        for key, inner in model.model_fields.items():
            yield from _rows(f"{name}.{key}", inner, getattr(default, key, None))
    if not models:
        shown = "none" if default is None else str(default)
        yield name, shown, allowed(field.annotation, field.metadata), description


def allowed(annotation: Any, metadata: Sequence[object]) -> str:
    """A field's choices, or its bounds, as a person reads them."""
    parts: list[Any] = [inner for part in get_args(annotation) or (annotation,) for inner in get_args(part) or (part,)]
    if inspect.isclass(parts[0]) and issubclass(parts[0], Enum):
        parts[:1] = list(parts[0])
    names = ["none" if part is type(None) else getattr(part, "__name__", str(part)) for part in parts]
    bounds = [
        word.format(limit)
        for bound in metadata
        for name, word in _WORDS.items()
        if (limit := getattr(bound, name, None)) is not None
    ]
    return " | ".join(names) if not bounds else " ".join(bounds) + " or none" * ("none" in names)


def check_strategy(
    name: Annotated[str, typer.Argument(help="A strategy's name, or a file like mine.py.")],
    data: Annotated[
        str,
        typer.Option(help="replay, or a folder of SYMBOL.csv or SYMBOL.parquet; without it replay and made-up bars."),
    ] = "",
    symbols: Annotated[str, typer.Option(help="Separated by commas; without it all that the data has.")] = "",
    other: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter: slow=30, stop.fraction=0.02.")
    ] = None,
    config: ConfigFolder = CONFIG,
) -> None:
    """Prove that a strategy does not look ahead, and that it trades live as it was tested."""
    from services.strategy.catalogue import find_strategies, strategy_of_file, with_parameters

    console, settings = make_console(), _settings(config)
    kind = (
        strategy_of_file(_file(name)) if name.endswith(".py") else find_strategies(settings.strategy_folder).named(name)
    )
    strategy = with_parameters(kind, pairs(other, "--set"), name)
    window = max(settings.window_bars, _required(strategy))
    rows = [row for key, field in kind.model_fields.items() for row in _rows(key, field, getattr(strategy, key))]
    values = "; ".join(f"{key}: {value}" for key, value, *_ in rows)
    console.print(f"[bold]{escape(name)}[/bold]  {escape(values)}; seen live through {window} bars", soft_wrap=True)
    raise typer.Exit(0 if _check(strategy, dict(_data(data, listed(symbols))), window, console) else 1)


def _check(strategy: "Strategy", data: "Mapping[str, Bars]", window: int, console: Console) -> bool:
    """Check on each of the data, say what was found, and return whether all is well."""
    found = [_check_one(strategy, name, bars, window, console) for name, bars in data.items()]
    entries = sum(item or 0 for item in found)
    if None not in found and not entries:
        console.print("[red]nothing is proven: there was no entry in any of these bars; try --data or --set[/red]")
    return None not in found and entries > 0


def _check_one(strategy: "Strategy", name: str, bars: "Bars", window: int, console: Console) -> int | None:
    """Return the number of entries that were found honest, or None when something is wrong."""
    from services.strategy.core.bars import UnfitBarsError
    from services.strategy.core.causality import MOST, check_causality, compare_windows

    if len(bars) < _required(strategy):
        console.print(f"{name}: {len(bars)} bars are too few, {_required(strategy)} are needed", soft_wrap=True)
        return 0
    tries = max(_LEAST_TRIES, min(MOST, _BARS_TRIED // len(bars)))
    try:
        proof = check_causality(strategy, bars, most_prefixes=tries)
        live = compare_windows(strategy, bars, window, most_windows=tries)
    except UnfitBarsError as error:
        console.print(f"{name}: not for these bars: {escape(str(error))}", soft_wrap=True)
        return 0
    except Exception as error:  # noqa: BLE001 - an author's code may fail in any way, and this is to find out
        console.print(f"[red]{name}: {escape(_problem(error))}[/red]", soft_wrap=True)
        return None
    told = [
        f"{name}: {proof.bars:,} bars, {proof.entries} entries, {proof.exits} exits",
        f"no look-ahead in {proof.prefixes:,} prefixes",
        f"live differs at {len(live.signals)} of {live.windows:,} bars"
        if live.windows
        else "one window holds them all",
    ]
    if live.details:
        told.append(f"live has another strength, stop or target at {live.details} entries")
    if live.signals:
        places = ", ".join(str(bars.end[bar]) for bar in live.signals[:_SEEN])
        told.append(f"other signals live at {places}{' ...' if len(live.signals) > _SEEN else ''}")
    console.print("; ".join(told), soft_wrap=True)
    if len(live.signals) > _MOST_DIFFERENT * live.windows:
        console.print(f"[red]  more than {_MOST_DIFFERENT:.0%}: raise minimum_bars, and window_bars with it[/red]")
        return None
    return proof.entries


def _problem(error: Exception) -> str:
    from services.strategy.core.strategy import StrategyError

    return str(error) if isinstance(error, StrategyError) else f"it failed: {type(error).__name__}: {error}"


def _required(strategy: "Strategy") -> int:
    from services.strategy.core.host import required_bars

    return required_bars(strategy)


def _settings(config: Path) -> Settings:
    return load(Settings, {**os.environ, CONFIG_FOLDER: str(config)})


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise CommandError(f"{name} does not exist; give a strategy's file, or a name that 'millrace strategies' lists")
    return path


def _data(data: str, wanted: Sequence[str]) -> "Iterator[tuple[str, Bars]]":
    """Each symbol's bars, by what to call them."""
    from services.simulator.adapters.prices import REPLAY_SYMBOLS, replay_bars
    from services.simulator.adapters.sources import PriceFile, price_file, read_prices
    from services.strategy.core.samples import sample_bars

    if data in ("", "replay"):
        for symbol in wanted or REPLAY_SYMBOLS:
            yield f"{symbol}, replay", _bars(PriceFile(Decimal("0.01"), replay_bars(symbol), {}))
    else:
        folder = Path(data)
        found = sorted(
            {path.stem for suffix in ("csv", "parquet") for path in folder.glob(f"*.{suffix}")} - {"actions"}
        )
        if not found:
            raise ConfigError(f"--data: {data!r} holds no SYMBOL.csv and no SYMBOL.parquet; name a folder that does")
        for symbol in wanted or found:
            yield f"{symbol}, {data}", _bars(read_prices(price_file(folder, symbol), ZoneInfo("America/New_York")))
    if not data:
        for timeframe, count in _MADE_UP_BARS.items():
            yield f"made up, {timeframe}", sample_bars(timeframe, count)


def _bars(prices: "PriceFile") -> "Bars":
    """The bars of a price file, of days on which the exchange is open."""
    import numpy as np

    from services.strategy.core.bars import Bars
    from shared.calendar import session_hours

    if prices.minutes:
        days = list(prices.minutes.values())
        ends = np.concatenate([day.seconds + day.length for day in days]) * np.timedelta64(1, "s")
        rows = [np.concatenate([getattr(day, name) for day in days]) for name in _COLUMNS]
        end = (np.datetime64(0, "us") + ends).astype("datetime64[us]")
    else:
        known = [(hours[1], bar) for bar in prices.daily if (hours := session_hours(bar.day))]
        end = np.array([close.replace(tzinfo=None) for close, _ in known], dtype="datetime64[us]")
        rows = [np.array([getattr(bar, name) for _, bar in known]) for name in _COLUMNS]
    opening, high, low, close = (row * float(prices.unit) for row in rows[:4])
    return Bars(end, opening, high, low, close, rows[4].astype(np.float64))
