"""Settings of the strategies (strategy.toml)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.strategy.core.confluence import Confluence
from shared import config
from shared.types import Timeframe


class InstanceSettings(BaseModel):
    """One strategy at work: `[[instances]]` of strategy.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=40, description="what its intents, orders and trades are called by")
    strategy: str = Field(description="an entry point of millrace.strategies, or a file of strategy_folder")
    timeframe: Timeframe = Timeframe.DAY
    symbols: tuple[str, ...] = Field((), description="empty: the whole trading universe")
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any], description="the strategy's own")
    minimum_score: float = Field(0, ge=0, le=1, description="confluence that an entry needs")
    intent_seconds: float = Field(300, ge=1, le=86_400, description="an intent that is not acted on by then is dead")

    @property
    def lifetime(self) -> timedelta:
        return timedelta(seconds=self.intent_seconds)


class Settings(config.Settings):
    section = "strategy"

    instances: tuple[InstanceSettings, ...] = ()
    strategy_folder: Path | None = Field(None, description="each .py file in it holds one strategy, named by the file")
    window_bars: int = Field(250, ge=2, le=10_000, description="newest bars that a strategy sees")
    only_scanned: bool = Field(True, description="enter only symbols that the newest scan kept")
    confluence: Confluence = Confluence()

    @model_validator(mode="after")
    def _names_differ(self) -> "Settings":
        names = [instance.name for instance in self.instances]
        if len(set(names)) < len(names):
            raise ValueError(f"instances need different names, these have {', '.join(names)}")
        return self
