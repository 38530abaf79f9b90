"""Settings of the simulator: section `simulator` of the shared configuration."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from services.simulator.core.commissions import Commissions
from shared import config


class Settings(config.Settings):
    section: ClassVar[str] = "simulator"

    host: str = Field("127.0.0.1", description="address that TWS API clients connect to")
    port: int = Field(4002, ge=0, le=65535, description="port that TWS API clients connect to; 0 = any free port")
    web_port: int | None = Field(
        None, ge=0, le=65535, description="port of the Client Portal Web API (http); 0 = any free port; none if not set"
    )
    account: str = Field("DU1000001", pattern="^[A-Z0-9]+$", description="account id; paper accounts begin with DU")
    cash: Decimal = Field(Decimal(1_000_000), ge=0, decimal_places=2, description="USD at the start")

    accounts: tuple[str, ...] = Field((), description="further account ids, each with the same cash at the start")
    master_client_id: int | None = Field(
        None, ge=0, description="client that hears of the orders of all clients; none if not set"
    )
    preset_tif_notice: bool = Field(
        False, description="answer an order without a time in force with notice 10349, as order presets of TWS do"
    )

    market: Literal["replay", "synthetic", "folder"] = "replay"
    symbols: tuple[str, ...] = Field((), description="what is traded; empty = the shared trading universe")
    etfs: tuple[str, ...] = Field(("SPY", "QQQ", "IWM", "DIA"), description="symbols that are ETFs, if traded at all")
    indices: tuple[str, ...] = Field((), description="listed as well, like SPX")
    futures: tuple[str, ...] = Field((), description="roots, like ES, whose contracts are listed with their index")
    currencies: tuple[str, ...] = Field((), description="pairs against the dollar, like EUR.USD")
    options: bool = Field(True, description="list option chains on all stocks and ETFs")
    start: date = Field(date(2010, 1, 4), description="first date that is traded")
    end: date = Field(date(2013, 3, 1), description="last date that is traded")
    warmup_days: int = Field(730, ge=0, le=20_000, description="calendar days of history before `start`")
    tick_seconds: int = Field(60, ge=1, le=1800, description="virtual seconds from one price to the next")
    extended_hours: bool = Field(False, description="stocks trade from 04:00 to 20:00 instead of regular hours only")
    spread: Decimal = Field(
        Decimal("0.01"), gt=0, le=10, decimal_places=2, description="USD from a stock's last price to bid and to ask"
    )
    interest_rate: float = Field(0.01, ge=0, le=0.15, description="yearly; decides option and future prices")
    hard_to_borrow: tuple[str, ...] = Field((), description="stocks of which no shares can be borrowed to sell short")
    folder: Path | None = Field(
        None, description="of SYMBOL.csv or SYMBOL.parquet files with daily or minute bars, for market = folder"
    )
    minutes_zone: str = Field("America/New_York", description="time zone of minute bars whose times name none")
    seed: int = Field(1, description="decides the prices, for market = synthetic")
    drift: float = Field(0.08, ge=-1, le=1, description="yearly, for market = synthetic")
    volatility: float = Field(0.3, ge=0, le=3, description="yearly, for market = synthetic")
    regimes: bool = Field(True, description="volatility changes between calm and stress, for market = synthetic")
    gaps_per_year: float = Field(4, ge=0, le=50, description="large overnight moves a symbol has, market = synthetic")
    halts_per_year: float = Field(1, ge=0, le=50, description="trading pauses a symbol has, for market = synthetic")
    corporate_actions: bool = Field(False, description="dividends and splits, for market = synthetic")

    speed: float = Field(
        0,
        ge=0,
        description="virtual seconds per real second while the exchange is open, closed hours are skipped; "
        "inf = as fast as the slowest client reads; 0 = time moves only through POST /advance",
    )

    commission_per_share: Decimal = Field(Commissions().per_share, ge=0)
    commission_minimum: Decimal = Field(Commissions().minimum, ge=0, description="USD per order")
    commission_maximum_fraction: Decimal = Field(
        Commissions().maximum_fraction, ge=0, le=1, description="of the trade value"
    )
    commission_plan: Literal["fixed", "tiered"] = Field(
        "fixed", description="of stocks; tiered takes IBKR's own numbers instead of the three above"
    )
    regulatory_fees: bool = Field(False, description="charge SEC and FINRA fees on sales")
    borrow_fee: Decimal = Field(Decimal(0), ge=0, le=10, description="yearly fraction of short stock's value")
    slow_reader_bytes: int = Field(
        64 << 20, ge=1 << 16, description="unread bytes at which a client that does not read is disconnected"
    )
    slow_reader_seconds: float = Field(
        30, gt=0, description="real seconds after which a client that has read nothing of what waits is disconnected"
    )
    messages_per_second: int = Field(
        50,
        ge=0,
        description="of one client; beyond it error 100, the third time its end; 0 lifts this and the Web API's limits",
    )
    market_data_lines: int = Field(100, ge=0, description="IBKR's limit, error 101; 0 = without limit")
    historical_pacing: bool = Field(True, description="IBKR's limits for small bars, ticks and real-time bars")
    maximum_clients: int = Field(32, ge=1, description="connected at once")
    trace: Path | None = Field(None, description="file that a readable line of every message is written to; none = off")
    scenario: str = Field("", description="fault script: a scenario's name, or a path to a TOML file")
    fault_seconds: float = Field(1, gt=0, le=1000, description="how long a real second of a fault script lasts")

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.end < self.start:
            raise ValueError(f"end = {self.end} is before start = {self.start}; choose a later end")
        if self.market == "folder" and self.folder is None:
            raise ValueError("folder is missing; market = folder needs the one that holds SYMBOL.csv files")
        return self
