"""The gateway's settings (gateway.toml)."""

from pydantic import Field

from shared import config


class Settings(config.Settings):
    section = "gateway"

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
    history_timeout_seconds: float = Field(60, ge=1, le=600, description="for one historical data request")
    reconnect_backoff_seconds: float = Field(30, ge=0.1, le=600, description="longest wait between two attempts")
    requests_per_second: int = Field(
        45, ge=0, le=1000, description="IBKR disconnects above 50 (half the market data lines); 0 = no limit"
    )
