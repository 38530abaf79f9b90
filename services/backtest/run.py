"""One backtest from its settings alone: the instances, the prices, the gear."""

import gc
import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from services.backtest.adapters.histories import data_hash, holes, load_histories
from services.backtest.adapters.market import load_market_for, run_simulator
from services.backtest.config import RunConfig
from services.backtest.core.exact import run_bars_exact
from services.backtest.core.fast import run_bars_fast
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import Fills, Gear, History, Result
from services.strategy.catalogue import make_instances
from services.strategy.config import Settings as StrategySettings
from services.strategy.core.confluence import Readings
from services.strategy.core.host import Instance
from services.strategy.readings_file import read_readings
from shared.types import Timeframe


@dataclass(frozen=True, slots=True)
class Run:
    """A backtest that was run, and what on. The hash is of all prices that it looked at."""

    result: Result
    histories: Mapping[Timeframe, Mapping[str, History]]
    data_hash: str


def instances_of(config: RunConfig) -> list[Instance]:
    """Raises ConfigError naming the instance and the key if one is not right."""
    settings = StrategySettings(
        instances=config.strategies,
        strategy_folder=config.strategy_folder,
        window_bars=config.window_bars,
        only_scanned=config.only_scanned,
        confluence=config.confluence,
    )
    return make_instances(settings, config.symbols)


def run(config: RunConfig) -> Run:
    """Run one backtest.

    Raises:
        ConfigError: something asked for is not there or does not fit; the text names it and says what to do.
    """
    instances = instances_of(config)
    histories = load_histories(config)
    flat = [history for by_symbol in histories.values() for history in by_symbol.values()]
    evidence = Evidence(config.confluence, read_readings(config.sentiment) if config.sentiment else Readings())
    if config.fills is Fills.SIMULATOR:
        hashed = load_market_for(config, config.live).fingerprint()
        result = run_simulator(config, instances, evidence, config.live)
    else:
        hashed, engine = data_hash(flat), run_bars_fast if config.gear is Gear.FAST else run_bars_exact
        with uncollected():
            result = engine(config, instances, flat, evidence)
    result = replace(result, assumptions=(*result.assumptions, *holes(config, flat)))
    return Run(result, histories, _with_readings(hashed, config))


@contextmanager
def uncollected() -> Generator[None]:
    """Hold the garbage collector off: a run makes no cycles, and it would walk through all orders again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _with_readings(hashed: str, config: RunConfig) -> str:
    """The hash of the prices, and of the sentiment that was read besides."""
    if config.sentiment is None:
        return hashed
    return hashlib.sha256(hashed.encode() + config.sentiment.read_bytes()).hexdigest()
