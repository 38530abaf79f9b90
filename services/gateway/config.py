"""The gateway's settings (gateway.toml)."""

from datetime import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from services.gateway.core.reset_windows import Region
from shared import config


class Settings(config.Settings):
    section = "gateway"

    adapter: Literal["tws", "web"] = Field(
        "tws", description="tws: IB Gateway or TWS at host and port; web: the Client Portal Gateway at web_url"
    )
    web_url: str = Field("https://127.0.0.1:5000", pattern=r"^https?://", description="of the Client Portal Gateway")
    web_cacert: Path | None = Field(
        None, description="file with the Client Portal Gateway's certificate; none = it is not checked"
    )
    host: str = Field("127.0.0.1", description="where IB Gateway, TWS or the simulator listens")
    port: int = Field(4002, ge=1, le=65535, description="4002 IB Gateway paper, 4001 live; 7497 and 7496 for TWS")
    client_id: int = Field(
        1, ge=1, le=2**31 - 1, description="fixed: only the client that sent an order may change or cancel it"
    )
    account: str | None = Field(None, description="account to trade; may be left out when the login has only one")
    heartbeat_seconds: float = Field(1.0, ge=0.005, le=60, description="between two questions for the broker's time")
    connect_timeout_seconds: float = Field(10, ge=0.5, le=120, description="for TCP connection and handshake together")
    answer_timeout_seconds: float = Field(
        15, ge=0.5, le=120, description="a broker that owes an answer for longer is taken for gone"
    )
    order_timeout_seconds: float = Field(
        10, ge=0.1, le=120, description="an order that the broker has not mentioned by then is reported UNKNOWN"
    )
    settle_seconds: float = Field(
        10, ge=0.05, le=600, description="between the listings that prove an UNKNOWN order never reached the broker"
    )
    history_timeout_seconds: float = Field(60, ge=0.1, le=600, description="for one historical data request")
    history_tries: int = Field(3, ge=1, le=20, description="of a question that the broker calls a pacing violation")
    history_retry_seconds: float = Field(15, ge=0.05, le=600, description="before the next of these tries")
    reconnect_backoff_seconds: float = Field(30, ge=0.1, le=600, description="longest wait between two attempts")
    client_id_wait_seconds: float = Field(
        60, ge=0, le=600, description="a client id that is in use for longer ends the gateway; no other id is tried"
    )
    lease_seconds: float = Field(
        15, ge=1, le=300, description="how long a gateway that died or froze keeps the next one out"
    )
    region: Region = Field(
        Region.NORTH_AMERICA, description="whose announced reset hours count; a paper account is in north_america"
    )
    daily_restart: time | None = Field(
        None, description="New York time at which IB Gateway restarts by itself; an outage then is expected"
    )
    requests_per_second: int = Field(
        45, ge=0, le=10_000, description="IBKR disconnects above 50 (half the market data lines); 0 = no limit"
    )
    market_data_lines: int = Field(100, ge=2, le=10_000, description="of the account; IBKR gives 100 to begin with")
    spare_lines: int = Field(2, ge=0, le=1000, description="of these, left to TWS windows and to what IBKR frees late")
    rotation_seconds: float = Field(
        11, ge=0.1, le=60, description="longest turn on a line where more symbols than lines are wanted"
    )
    rotation_share: float = Field(0.5, gt=0, le=1, description="part of requests_per_second that such turns may use")
    silence_seconds: float = Field(
        120, ge=0.1, le=3600, description="a stream that is silent for longer in its session is asked for again"
    )
    delayed_data: bool = Field(
        False, description="take delayed data of what has no live subscription; orders are refused on them"
    )
    calendar_symbol: str = Field(
        "SPY", description="paper and live: US stock whose hours are compared with our exchange calendar; empty = off"
    )
    preset_probe_symbol: str = Field(
        "SPY", description="paper and live: previewed once, to find presets that refuse orders"
    )
    preset_probe_quantity: int = Field(
        100, ge=0, le=1_000_000, description="of this preview, which orders nothing: a size that you trade; 0 = off"
    )
    interest_rate: float = Field(0.04, ge=0, le=0.5, description="yearly, for Greeks of options where IBKR sends none")

    @property
    def where(self) -> str:
        """What the adapter connects to, in words."""
        return self.web_url if self.adapter == "web" else f"{self.host}:{self.port}"
