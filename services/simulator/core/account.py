"""Cash, positions, commissions and profit, exact to the cent.

A position's cost includes commissions, as IBKR's average cost does. A sale of a part of a position releases its share
of the cost, rounded to the cent; the rest stays with the position, so that at every moment, without rounding error,
start cash + realized + unrealized = cash + market value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ZERO = Decimal(0)


def to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class CommissionSchedule:
    """USD per share, with a minimum in USD per order and a maximum as a fraction of the trade value.

    The defaults are IBKR Pro's fixed rates for US stocks (Interactive Brokers, published commissions); the result is
    rounded to the cent, which IBKR does not do.
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")
    maximum_fraction: Decimal = Decimal("0.01")

    def of_order(self, shares: Decimal, value: Decimal) -> Decimal:
        """Return the commission in USD of an order's fills so far, so that the minimum applies once per order."""
        wanted = max(self.per_share * shares, self.minimum)
        return to_cents(min(wanted, self.maximum_fraction * value))


@dataclass(slots=True)
class Position:
    """Shares held (negative: short) and what they cost in USD, commissions included (negative: received)."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    """Profit of the shares closed so far, net of commissions."""

    @property
    def average_cost(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, shares: Decimal, price: Decimal, commission: Decimal) -> Decimal | None:
        """Add a trade of signed `shares`; return the profit it realized, or None if it closed nothing."""
        closing = ZERO
        if self.quantity * shares < 0:
            closing = min(abs(shares), abs(self.quantity)).copy_sign(shares)
        closing_commission = to_cents(commission * closing / shares)
        realized = self._close(closing, price, closing_commission) if closing else None
        opening = shares - closing
        self.quantity += opening
        self.cost += opening * price + commission - closing_commission
        return realized

    def _close(self, closing: Decimal, price: Decimal, commission: Decimal) -> Decimal:
        released = to_cents(self.cost * -closing / self.quantity)
        self.quantity += closing
        self.cost -= released
        realized = -(closing * price + commission) - released
        self.realized += realized
        return realized


@dataclass(slots=True)
class Account:
    """One margin account in USD."""

    cash: Decimal
    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    commissions: Decimal = ZERO
    realized: Decimal = ZERO
    previous_net_liquidation: Decimal = ZERO
    """NetLiquidation at the end of the previous session, from which the daily profit counts."""

    def __post_init__(self) -> None:
        self.previous_net_liquidation = self.cash

    def trade(self, symbol: str, shares: Decimal, price: Decimal, commission: Decimal) -> Decimal | None:
        """Book a fill of signed `shares`; return the profit it realized, net of commissions, None if it closed none."""
        realized = self.positions.setdefault(symbol, Position()).trade(shares, price, commission)
        self.cash -= shares * price + commission
        self.commissions += commission
        if realized is not None:
            self.realized += realized
        return realized

    def quantity(self, symbol: str) -> Decimal:
        position = self.positions.get(symbol)
        return position.quantity if position else ZERO


REG_T_INITIAL = Decimal("0.5")
"""Initial margin as a fraction of a stock position (Federal Reserve Regulation T, 12 CFR 220.12)."""
REG_T_MAINTENANCE = Decimal("0.25")
"""Maintenance margin as a fraction of a stock position (FINRA rule 4210)."""


@dataclass(frozen=True, slots=True)
class Valuation:
    """The account at one set of last prices, in USD."""

    cash: Decimal
    stock_value: Decimal
    gross_position_value: Decimal
    unrealized: Decimal
    realized: Decimal
    commissions: Decimal
    daily: Decimal

    @property
    def net_liquidation(self) -> Decimal:
        return self.cash + self.stock_value

    @property
    def initial_margin(self) -> Decimal:
        return to_cents(self.gross_position_value * REG_T_INITIAL)

    @property
    def maintenance_margin(self) -> Decimal:
        return to_cents(self.gross_position_value * REG_T_MAINTENANCE)

    @property
    def available_funds(self) -> Decimal:
        return self.net_liquidation - self.initial_margin

    @property
    def excess_liquidity(self) -> Decimal:
        return self.net_liquidation - self.maintenance_margin

    @property
    def buying_power(self) -> Decimal:
        return max(ZERO, to_cents(self.available_funds / REG_T_INITIAL))


def value(account: Account, last_prices: Mapping[str, Decimal]) -> Valuation:
    """Return the account at `last_prices` (USD per share), which must hold every symbol with a position."""
    stock_value = gross = unrealized = ZERO
    for symbol, position in account.positions.items():
        if position.quantity:
            market_value = position.quantity * last_prices[symbol]
            stock_value += market_value
            gross += abs(market_value)
            unrealized += market_value - position.cost
    return Valuation(
        cash=account.cash,
        stock_value=stock_value,
        gross_position_value=gross,
        unrealized=unrealized,
        realized=account.realized,
        commissions=account.commissions,
        daily=account.cash + stock_value - account.previous_net_liquidation,
    )
