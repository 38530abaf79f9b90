"""Settings of the scanners (scanner.toml)."""

from decimal import Decimal

from pydantic import Field

from services.scanner.core.filters import Filters
from shared import config


class Settings(config.Settings):
    section = "scanner"

    min_price: Decimal = Field(Decimal(5), ge=0, description="USD per share")
    min_dollar_volume: Decimal = Field(Decimal(20_000_000), ge=0, description="USD a session, mean of the look-back")
    min_momentum: float = Field(-0.15, ge=-1, le=10, description="return over the look-back, as a fraction")
    look_back: int = Field(20, ge=1, le=250, description="sessions")

    @property
    def filters(self) -> Filters:
        return Filters(self.min_price, self.min_dollar_volume, self.min_momentum, self.look_back)
