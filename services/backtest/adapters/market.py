"""The simulated market and broker that a backtest's settings describe, and the run on them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.backtest.config import RunConfig
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import Result
from services.backtest.core.replay import ReplaySettings, replay
from services.backtest.core.replay_assumptions import assumptions
from services.backtest.live import LiveSettings
from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings as SimulatorSettings
from services.simulator.core.commissions import Commissions
from services.simulator.core.engine import Engine
from services.simulator.core.market import Market
from services.simulator.core.minutes import MinuteSeries
from services.strategy.core.host import Instance
from shared.config import ConfigError
from shared.types import Timeframe


def run_simulator(
    config: RunConfig, instances: Sequence[Instance], evidence: Evidence, live: LiveSettings | None = None
) -> Result:
    """Run one backtest through the simulated broker; `live` is read from the config folder if it is not given.

    Raises:
        ConfigError: a symbol, a date or a timeframe is not there; the text names it and says what to do.
    """
    live = live or LiveSettings.load()
    settings = replay_settings(config, evidence, live)
    engine = make_engine(config, live)
    _check_timeframes(config, instances, engine.market)
    result = replay(engine, instances, settings, evidence.readings)
    return replace(result, assumptions=assumptions(simulator_settings(config, live), settings, instances))


def load_market_for(config: RunConfig, live: LiveSettings | None = None) -> Market:
    """The market alone; its fingerprint tells one set of prices from another. Raises ConfigError as `run_simulator`."""
    settings = simulator_settings(config, live or LiveSettings.load())
    return load_market(settings, settings.symbols)


def make_engine(config: RunConfig, live: LiveSettings) -> Engine:
    """The simulated broker at the beginning of its market, as the simulator's service makes it."""
    settings = simulator_settings(config, live)
    commissions = Commissions(
        settings.commission_per_share,
        settings.commission_minimum,
        settings.commission_maximum_fraction,
        settings.commission_plan,
        settings.regulatory_fees,
    )
    market = load_market(settings, settings.symbols)
    return Engine(market, (settings.account,), settings.cash, commissions, settings.borrow_fee)


def simulator_settings(config: RunConfig, live: LiveSettings) -> SimulatorSettings:
    """The simulator's own settings with the backtest's dates, symbols, prices and cash."""
    if config.source == "database":
        raise ConfigError(
            "source = database holds bars, and fills = simulator needs prices to make ticks of: use fills = bars, or"
            " source = replay, synthetic, or a folder of price files"
        )
    known = config.source in ("replay", "synthetic")
    compared = [config.benchmark] if config.benchmark and config.benchmark not in config.symbols else []
    chosen: dict[str, Any] = {
        "market": config.source if known else "folder",
        "folder": None if known else Path(config.source),
        "symbols": (*config.symbols, *compared),
        "start": config.first,
        "end": config.last,
        "cash": config.cash,
        "seed": config.seed,
    }
    return SimulatorSettings.model_validate(live.simulator.model_dump() | chosen)


def replay_settings(config: RunConfig, evidence: Evidence, live: LiveSettings) -> ReplaySettings:
    return ReplaySettings(
        symbols=config.symbols,
        jobs=live.jobs,
        risk=config.risk,
        confluence=evidence.confluence,
        history_bars=live.history_bars,
        window_bars=config.window_bars,
        filters=live.scanner.filters if config.only_scanned else None,
        benchmark=config.benchmark,
    )


def _check_timeframes(config: RunConfig, instances: Sequence[Instance], market: Market) -> None:
    """Raise ConfigError for bars that live does not have, and for minutes where nobody knows what was inside a day."""
    for instance in instances:
        if instance.timeframe not in (Timeframe.DAY, Timeframe.MINUTE):
            raise ConfigError(
                f"{instance.name}: timeframe = {instance.timeframe} has no bars with fills = simulator, which has those"
                f" of {Timeframe.MINUTE} and {Timeframe.DAY}, as live; choose one of them, or fills = bars"
            )
        for symbol in instance.symbols if instance.timeframe is Timeframe.MINUTE else ():
            (listed,) = (found for found in market.catalogue.listed if found.local_symbol == symbol)
            if not isinstance(market.series(listed.contract_id), MinuteSeries):
                raise ConfigError(
                    f"{instance.name}: timeframe = {instance.timeframe}, and source = {config.source} has only daily"
                    f" bars of {symbol}; inside a day its prices are made up. Use a folder of minute bars"
                )
