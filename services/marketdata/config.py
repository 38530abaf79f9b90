"""Settings of the bar store (marketdata.toml)."""

from pydantic import Field

from shared import config


class Settings(config.Settings):
    section = "marketdata"

    history_bars: int = Field(250, ge=1, le=2000, description="daily bars to hold of each symbol from the start")
    minute_bars: bool = Field(False, description="make one-minute bars of the quotes, for intraday strategies")
