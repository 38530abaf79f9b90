"""What a backtest is asked to do; with the hash of its data it makes a result reproducible."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.backtest.core.model import Costs, Fills, Gear
from services.backtest.live import LiveSettings
from services.risk.config import Settings as RiskSettings
from services.strategy.config import InstanceSettings
from services.strategy.core.confluence import Confluence
from shared.types import Timeframe


class RunConfig(BaseModel):
    """One backtest. `source` is "replay" (the real daily bars that come with the simulator), "synthetic", "database"
    (the bar store), or a folder of SYMBOL.csv / SYMBOL.parquet files as the simulator reads them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategies: tuple[InstanceSettings, ...] = Field(min_length=1)
    strategy_folder: Path | None = None
    symbols: tuple[str, ...] = Field(min_length=1)
    first: date
    last: date
    source: str = "replay"
    cash: Decimal = Field(Decimal(1_000_000), gt=0, description="USD")
    gear: Gear = Gear.EXACT
    fills: Fills = Fills.SIMULATOR
    window_bars: int = Field(250, ge=2, le=10_000, description="bars that a strategy sees live; fills = simulator")
    only_scanned: bool = Field(False, description="enter only what the scanner's filters keep; fills = simulator only")
    risk: RiskSettings = Field(default_factory=lambda: RiskSettings.model_validate({}))
    costs: Costs = Costs.model_validate({})
    confluence: Confluence = Confluence()
    live: LiveSettings | None = Field(None, description="of fills = simulator; None: those of the config folder")
    sentiment: Path | None = Field(None, description="a CSV of readings: time, symbol, component, score")
    benchmark: str | None = Field(None, description="a symbol to compare with; None: all symbols, equally weighted")
    seed: int = Field(1, ge=0, description="of synthetic prices and of the statistics that draw lots")

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        return tuple(sorted({instance.timeframe for instance in self.strategies}))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last = {self.last} is before first = {self.first}; swap them")
        if self.gear is Gear.FAST and self.fills is Fills.SIMULATOR:
            raise ValueError("gear = fast has no simulator; use fills = bars, or gear = exact")
        return self
