"""Settings of the simulator: section `simulator` of the shared configuration."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from services.simulator.core.account import CommissionSchedule
from shared import config


class Settings(config.Settings):
    section: ClassVar[str] = "simulator"

    host: str = Field("127.0.0.1", description="address that TWS API clients connect to")
    port: int = Field(4002, ge=0, le=65535, description="port that TWS API clients connect to; 0 = any free port")
    account: str = Field("DU1000001", pattern="^[A-Z0-9]+$", description="account id; paper accounts begin with DU")
    cash: Decimal = Field(Decimal(1_000_000), ge=0, decimal_places=2, description="USD at the start")

    market: Literal["replay", "synthetic", "csv"] = "replay"
    symbols: tuple[str, ...] = Field((), description="what is traded; empty = the shared trading universe")
    start: date = Field(date(2010, 1, 4), description="first date that is traded")
    end: date = Field(date(2013, 3, 1), description="last date that is traded")
    warmup_days: int = Field(730, ge=0, le=20_000, description="calendar days of history before `start`")
    tick_seconds: int = Field(60, ge=1, le=1800, description="virtual seconds from one price to the next")
    spread: Decimal = Field(
        Decimal("0.01"), gt=0, le=10, decimal_places=2, description="USD from the last price to bid and to ask"
    )
    csv_folder: Path | None = Field(None, description="folder of SYMBOL.csv files, for market = csv")
    seed: int = Field(1, description="decides the prices, for market = synthetic")
    drift: float = Field(0.08, ge=-1, le=1, description="yearly, for market = synthetic")
    volatility: float = Field(0.3, ge=0, le=3, description="yearly, for market = synthetic")

    speed: float = Field(
        0,
        ge=0,
        description="virtual seconds per real second while the exchange is open, closed hours are skipped; "
        "inf = as fast as the slowest client reads; 0 = time moves only through POST /advance",
    )

    commission_per_share: Decimal = Field(CommissionSchedule().per_share, ge=0)
    commission_minimum: Decimal = Field(CommissionSchedule().minimum, ge=0, description="USD per order")
    commission_maximum_fraction: Decimal = Field(
        CommissionSchedule().maximum_fraction, ge=0, le=1, description="of the trade value"
    )
    slow_reader_bytes: int = Field(
        64 << 20, ge=1 << 16, description="unread bytes at which a client that does not read is disconnected"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.end < self.start:
            raise ValueError(f"end = {self.end} is before start = {self.start}; choose a later end")
        if self.market == "csv" and self.csv_folder is None:
            raise ValueError("csv_folder is missing; market = csv needs the folder that holds SYMBOL.csv files")
        return self
