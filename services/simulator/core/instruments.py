"""Contracts: what an instrument is. The catalogue that finds them is in `catalogue`."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

COMBO_CONTRACT_ID = 28812380
"""IBKR's contract id of every combination."""


class SecurityType(StrEnum):
    STOCK = "STK"
    OPTION = "OPT"
    INDEX = "IND"
    FUTURE = "FUT"
    CURRENCY = "CASH"
    COMBO = "BAG"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One contract. Prices are in its currency, whole multiples of `unit`; ETFs are stocks of stock type ETF."""

    contract_id: int
    symbol: str
    """The stock, the base currency of a pair, or what an option or a future is on."""
    security_type: SecurityType
    exchange: str
    """Where orders go by default: SMART, or the only exchange that lists it."""
    primary_exchange: str
    local_symbol: str
    trading_class: str
    long_name: str
    currency: str = "USD"
    multiplier: int = 1
    expiry: date | None = None
    strike: Decimal = Decimal(0)
    right: str = ""
    """C or P for an option, else empty."""
    underlying_id: int = 0
    unit: Decimal = Decimal("0.01")
    market_rule: int = 26
    minimum_size: Decimal = Decimal(1)
    size_increment: Decimal = Decimal(1)
    stock_type: str = "COMMON"

    @property
    def exchanges(self) -> tuple[str, ...]:
        """Where orders may go; each has the same market rule."""
        if self.security_type is SecurityType.STOCK:
            return "SMART", "NYSE", "NASDAQ", "ARCA", "BATS", "IEX"
        if self.security_type is SecurityType.OPTION:
            return "SMART", "CBOE", "ISE", "AMEX", "PHLX", "BOX"
        return (self.exchange,)
