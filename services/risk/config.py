"""Risk's settings (risk.toml): the limits a trader sets."""

from decimal import Decimal

from pydantic import Field

from shared import config


class Settings(config.Settings):
    section = "risk"

    risk_per_trade: Decimal = Field(
        Decimal("0.005"),
        gt=0,
        le=Decimal("0.1"),
        description="fraction of equity lost when the stop fills at its price",
    )
    require_stop: bool = Field(True, description="refuse an entry without a stop that the broker holds")
    max_positions: int = Field(5, ge=1, le=1000, description="open positions and working entries together")
    max_position_fraction: Decimal = Field(
        Decimal("0.2"), gt=0, le=1, description="largest position as a fraction of equity"
    )
    max_order_value: Decimal = Field(Decimal(250_000), gt=0, description="USD")
    max_daily_loss: Decimal = Field(
        Decimal("0.03"), gt=0, le=1, description="fraction of the session's opening equity; then no new positions"
    )
    loss_confirmations: int = Field(
        3, ge=1, le=100, description="comparisons in a row that must show that loss before trading halts"
    )
    max_quote_age_seconds: float = Field(120, gt=0, le=86_400)
    price_collar: Decimal = Field(
        Decimal("0.02"),
        gt=0,
        le=Decimal("0.5"),
        description="how far a limit may be from the last price, as a fraction",
    )
    exit_slippage: Decimal = Field(
        Decimal("0.005"), ge=0, le=Decimal("0.1"), description="how far through the quote an exit's limit goes"
    )
    tick_size: Decimal = Field(Decimal("0.01"), gt=0, description="USD; SEC Rule 612 for prices of 1 USD and more")
    approval_seconds: float = Field(
        120, ge=1, le=3600, description="an approved order that is not sent by then is dead"
    )
    max_holding_days: int = Field(30, ge=1, le=10_000, description="calendar days; older positions are closed")
