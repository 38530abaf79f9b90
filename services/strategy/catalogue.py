"""Finds strategies, and puts instances of them to work as the settings say."""

import importlib.util
import inspect
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from services.strategy.config import InstanceSettings, Settings
from services.strategy.core.host import Instance, required_bars
from services.strategy.core.strategy import Strategy
from shared.config import ConfigError

GROUP = "millrace.strategies"


def find_strategies(folder: Path | None) -> dict[str, type[Strategy]]:
    """Name -> strategy, from the entry points of installed packages and from the .py files of a folder.

    Raises:
        ConfigError: one can't be loaded, is no strategy, or has another's name.
    """
    found: dict[str, type[Strategy]] = {}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"entry point {point.name} = {point.value} of {GROUP} can't be loaded: {error}"
            ) from error
        if not (inspect.isclass(loaded) and issubclass(loaded, Strategy)):
            raise ConfigError(f"entry point {point.name} = {point.value} of {GROUP} is no subclass of Strategy")
        found[point.name] = loaded
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"strategy.toml: strategy_folder = {str(folder)!r} is no folder; make it or leave the key out"
        )
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        if path.stem in found:
            raise ConfigError(f"{path}: there is a strategy {path.stem!r} already; rename the file")
        found[path.stem] = _strategy_of_file(path)
    return found


def _strategy_of_file(path: Path) -> type[Strategy]:
    module = _import_file(path)
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(strategy.__name__ for strategy in own) or "none"
        raise ConfigError(f"{path}: a strategy file defines exactly one subclass of Strategy; this one defines {names}")
    return own[0]


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"millrace_strategies.{path.stem}", path)
    assert spec is not None  # noqa: S101 - a .py file always has one
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # an author's file may fail in any way
        raise ConfigError(f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return module


def make_instances(settings: Settings, universe: Sequence[str]) -> list[Instance]:
    """The instances of the settings, with checked parameters and symbols.

    Raises:
        ConfigError: a strategy is unknown or bad, or an instance does not fit it, the universe or the window.
    """
    strategies = find_strategies(settings.strategy_folder)
    return [_make_instance(instance, strategies, settings.window_bars, universe) for instance in settings.instances]


def _make_instance(
    wanted: InstanceSettings, strategies: dict[str, type[Strategy]], window_bars: int, universe: Sequence[str]
) -> Instance:
    where = f"strategy.toml: instance {wanted.name!r}"
    if wanted.strategy not in strategies:
        raise ConfigError(f"{where}: unknown strategy {wanted.strategy!r}; known: {', '.join(sorted(strategies))}")
    if unknown := [symbol for symbol in wanted.symbols if symbol not in universe]:
        raise ConfigError(f"{where}: symbols {unknown} are not in millrace.toml's symbols; add them there first")
    try:
        strategy = strategies[wanted.strategy].model_validate(wanted.parameters)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(where, detail["loc"], detail["input"], detail["msg"])
                                    for detail in error.errors())) from error  # fmt: skip
    if required_bars(strategy) > window_bars:
        raise ConfigError(
            f"{where} needs {required_bars(strategy)} bars but sees window_bars = {window_bars}; raise window_bars"
        )
    return Instance(wanted.name, strategy, wanted.timeframe, wanted.symbols or tuple(universe), wanted.lifetime)


def _explain(where: str, location: tuple[int | str, ...], value: object, message: str) -> str:
    key = ".".join(str(part) for part in ("parameters", *location))
    return f"{where}: {key} = {value!r} is not allowed: {message}"
