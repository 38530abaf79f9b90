"""What a backtest through the simulator takes from the settings of the services that it stands for."""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from services.marketdata.config import Settings as MarketDataSettings
from services.scanner.config import Settings as ScannerSettings
from services.scheduler.config import Settings as SchedulerSettings
from services.scheduler.core.schedule import JobTime
from services.simulator.config import Settings as SimulatorSettings
from shared.config import load


class LiveSettings(BaseModel):
    """The simulated market and account, the scheduler's jobs, the scanner's filters, the bars held from the start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    simulator: SimulatorSettings
    scanner: ScannerSettings
    jobs: tuple[JobTime, ...] = Field(min_length=1)
    history_bars: int = Field(ge=1)

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As the services read them. Raises ConfigError as they do."""
        return cls(
            simulator=load(SimulatorSettings, environment),
            scanner=load(ScannerSettings, environment),
            jobs=load(SchedulerSettings, environment).jobs,
            history_bars=load(MarketDataSettings, environment).history_bars,
        )
