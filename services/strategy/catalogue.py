"""Finds strategies, and puts instances of them to work as the settings say.

What a person wrote into the settings must be right, or nothing starts: a typo there is a ConfigError. A strategy whose
own code is no good is set aside with the reason, and the others trade.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from services.strategy.config import InstanceSettings, Settings
from services.strategy.core.causality import check_causality
from services.strategy.core.host import Instance, required_bars
from services.strategy.core.samples import sample_bars
from services.strategy.core.strategy import Strategy, StrategyError
from shared.config import ConfigError

GROUP = "millrace.strategies"
_CHECKED_BARS, _CHECKED_PREFIXES = 300, 60  # beside the bars that the strategy needs first; a start must not take long


class UnusableStrategyError(ConfigError):
    """A strategy's own code can't be used; the text says where it is and why."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found, by name: `strategies` that can be used, and `problems` of those that can't."""

    strategies: Mapping[str, type[Strategy]]
    problems: Mapping[str, str]

    def named(self, name: str) -> type[Strategy]:
        """Raises UnusableStrategyError for a strategy with a problem, ConfigError for one that was not found."""
        if name in self.problems:
            raise UnusableStrategyError(self.problems[name])
        if name not in self.strategies:
            raise ConfigError(f"unknown strategy {name!r}; known: {', '.join(sorted(self.strategies))}")
        return self.strategies[name]


def find_strategies(folder: Path | None) -> Catalogue:
    """The strategies of installed packages, by entry point, and of the .py files of a folder, by file name.

    Raises:
        ConfigError: the folder is none.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"strategy.toml: strategy_folder = {str(folder)!r} is no folder; make it or leave the key out"
        )
    strategies: dict[str, type[Strategy]] = {}
    problems: dict[str, str] = {}

    def take(name: str, where: str, load: Callable[[], Any]) -> None:
        if name in strategies or name in problems:
            strategies.pop(name, None)  # which of the two is meant, nobody can tell
            problems[name] = f"{where}: there is a strategy {name!r} already; rename one"
            return
        try:
            strategies[name] = _checked_class(where, load())
        except UnusableStrategyError as error:
            problems[name] = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's code may fail in any way
            problems[name] = f"{where} can't be imported: {type(error).__name__}: {error}"

    for point in entry_points(group=GROUP):
        take(point.name, f"entry point {point.name} = {point.value} of {GROUP}", point.load)
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        take(path.stem, str(path), lambda path=path: _only_strategy(path))
    return Catalogue(strategies, problems)


def strategy_of_file(path: Path) -> type[Strategy]:
    """The strategy of one file. Raises UnusableStrategyError."""
    try:
        return _checked_class(str(path), _only_strategy(path))
    except UnusableStrategyError:
        raise
    except (Exception, SystemExit) as error:  # an author's code may fail in any way
        raise UnusableStrategyError(f"{path} can't be imported: {type(error).__name__}: {error}") from error


def _checked_class(where: str, loaded: object) -> type[Strategy]:
    if not (inspect.isclass(loaded) and issubclass(loaded, Strategy)):
        raise UnusableStrategyError(f"{where} is no subclass of Strategy")
    if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
        raise UnusableStrategyError(f"{where}: {loaded.__name__} does not define {', '.join(missing)}")
    return loaded


def _only_strategy(path: Path) -> type[Strategy]:
    module = _import_file(path)
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(strategy.__name__ for strategy in own) or "none"
        raise UnusableStrategyError(
            f"{path}: a strategy file defines exactly one subclass of Strategy; this one defines {names}"
        )
    return own[0]


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"millrace_strategies.{path.stem}", path)
    assert spec is not None  # noqa: S101 - a .py file always has one
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic and dataclasses look for what annotations name
    spec.loader.exec_module(module)
    return module


def make_instances(settings: Settings, universe: Sequence[str]) -> list[Instance]:
    """The instances of the settings, with checked parameters and symbols; one that can't be used is an error.

    Raises:
        ConfigError: a strategy is unknown or bad, or an instance does not fit it, the universe or the window.
    """
    found = find_strategies(settings.strategy_folder)
    return [_make_instance(instance, found, settings.window_bars, universe) for instance in settings.instances]


def instances_at_work(settings: Settings, universe: Sequence[str]) -> tuple[list[Instance], dict[str, str]]:
    """The instances that can trade, and by name why others can't: their strategy's code is bad, or looks ahead.

    Raises:
        ConfigError: a strategy is unknown, or an instance does not fit it, the universe or the window.
    """
    found = find_strategies(settings.strategy_folder)
    instances: list[Instance] = []
    disabled: dict[str, str] = {}
    for wanted in settings.instances:
        try:
            instance = _make_instance(wanted, found, settings.window_bars, universe)
            _prove(instance)
        except UnusableStrategyError as error:
            disabled[wanted.name] = str(error)
        else:
            instances.append(instance)
    return instances, disabled


def _prove(instance: Instance) -> None:
    """A short check for look-ahead, on made-up bars; `millrace check-strategy` has the thorough one."""
    count = required_bars(instance.strategy) + _CHECKED_BARS
    try:
        check_causality(instance.strategy, sample_bars(instance.timeframe, count), most_prefixes=_CHECKED_PREFIXES)
    except StrategyError as error:
        raise UnusableStrategyError(str(error)) from error
    except Exception as error:  # an author's code may fail in any way
        raise UnusableStrategyError(f"it fails on made-up bars: {type(error).__name__}: {error}") from error


def _make_instance(wanted: InstanceSettings, found: Catalogue, window_bars: int, universe: Sequence[str]) -> Instance:
    where = f"strategy.toml: instance {wanted.name!r}"
    try:
        kind = found.named(wanted.strategy)
    except UnusableStrategyError as error:
        raise UnusableStrategyError(f"{where}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if unknown := [symbol for symbol in wanted.symbols if symbol not in universe]:
        raise ConfigError(f"{where}: symbols {unknown} are not in millrace.toml's symbols; add them there first")
    strategy = with_parameters(kind, wanted.parameters, where)
    if required_bars(strategy) > window_bars:
        raise ConfigError(
            f"{where} needs {required_bars(strategy)} bars but sees window_bars = {window_bars}; raise window_bars"
        )
    symbols = wanted.symbols or tuple(universe)
    return Instance(wanted.name, strategy, wanted.timeframe, symbols, wanted.lifetime, wanted.minimum_score)


def with_parameters(kind: type[Strategy], parameters: Mapping[str, Any], where: str) -> Strategy:
    """The strategy with these parameters. Raises ConfigError for each that it does not allow."""
    try:
        return kind.model_validate(parameters)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(where, detail["loc"], detail["input"], detail["msg"])
                                    for detail in error.errors())) from error  # fmt: skip


def _explain(where: str, location: tuple[int | str, ...], value: object, message: str) -> str:
    key = ".".join(str(part) for part in ("parameters", *location))
    return f"{where}: {key} = {value!r} is not allowed: {message}"
