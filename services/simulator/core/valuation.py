"""What an account is worth, and what of it is free, under the names of IBKR's account window, in USD.

An option is marked at the middle of bid and ask, everything else at its last price; what never had a price is marked
at its cost. Buying power is available funds at Regulation T's two to one; the four to one that pattern day traders get
inside a day is not simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.simulator.core.account import CENT, ZERO, Account, Position, to_cents
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.margin import REG_T_INITIAL, Lookup, PriceOf, Requirement, requirement
from services.simulator.core.tape import Prices


def mark(prices: Prices, contract_id: int, now: datetime) -> Decimal | None:
    """Return the price a position is valued at, of an earlier day if need be; None before the first."""
    latest = prices.latest(contract_id, now)
    if latest is None:
        return None
    tape, index = latest
    if prices.instrument(contract_id).security_type is SecurityType.OPTION:
        return (tape.price(tape.bid[index]) + tape.price(tape.ask[index])) / 2
    return tape.price(tape.last[index])


@dataclass(frozen=True, slots=True)
class PositionValue:
    """One position at its mark price."""

    instrument: Instrument
    position: Position
    price: Decimal
    daily: Decimal
    """Profit since the end of the previous session."""

    @property
    def market_value(self) -> Decimal:
        return self.position.quantity * self.price * self.instrument.multiplier

    @property
    def unrealized(self) -> Decimal:
        return self.market_value - self.position.cost


@dataclass(frozen=True, slots=True)
class Valuation:
    """The account at one set of prices."""

    account_id: str
    cash: Decimal
    """USD. Other currencies, which are held as pairs, are in `currencies` and `currency_value`."""
    stock_value: Decimal
    option_value: Decimal
    future_value: Decimal
    """Open profit of futures, without their commissions."""
    currency_value: Decimal
    currencies: Mapping[str, tuple[Decimal, Decimal]]
    """By currency: the amount held, and its price in USD."""
    gross_position_value: Decimal
    """Long and short stocks and options, all positive."""
    unrealized: Decimal
    realized: Decimal
    income: Decimal
    commissions: Decimal
    daily: Decimal
    """Change of NetLiquidation since the end of the previous session."""
    margin: Requirement
    positions: tuple[PositionValue, ...] = field(repr=False)
    """Of every contract that was ever held, in the order first traded."""

    @property
    def total_cash(self) -> Decimal:
        return self.cash + self.currency_value

    @property
    def net_liquidation(self) -> Decimal:
        return self.total_cash + self.stock_value + self.option_value + self.future_value

    @property
    def equity_with_loan(self) -> Decimal:
        """NetLiquidation without options, which have no loan value."""
        return self.net_liquidation - self.option_value

    @property
    def initial_margin(self) -> Decimal:
        return self.margin.initial

    @property
    def maintenance_margin(self) -> Decimal:
        return self.margin.maintenance

    @property
    def available_funds(self) -> Decimal:
        return self.equity_with_loan - self.margin.initial

    @property
    def excess_liquidity(self) -> Decimal:
        return self.equity_with_loan - self.margin.maintenance

    @property
    def cushion(self) -> Decimal:
        """Excess liquidity in percent of NetLiquidation, 0 if that is not positive."""
        worth = self.net_liquidation
        return self.excess_liquidity / worth * 100 if worth > 0 else Decimal(0)

    @property
    def buying_power(self) -> Decimal:
        return max(ZERO, to_cents(self.available_funds / REG_T_INITIAL))


def value(account: Account, instrument: Lookup, price: PriceOf) -> Valuation:
    """Return the account at the mark prices of `price`; `instrument` must know every contract it holds."""
    positions = tuple(_position_value(account, instrument, price, contract_id) for contract_id in account.positions)
    marks = {item.instrument.contract_id: item.price for item in positions if item.position.quantity}
    sums = dict.fromkeys(SecurityType, ZERO)
    gross = unrealized = ZERO
    currencies: dict[str, tuple[Decimal, Decimal]] = {}
    for item in positions:
        kind = item.instrument.security_type
        sums[kind] += item.market_value - item.position.carried
        unrealized += item.unrealized
        if kind in (SecurityType.STOCK, SecurityType.OPTION):
            gross += abs(item.market_value)
        elif kind is SecurityType.CURRENCY:
            currencies[item.instrument.symbol] = item.position.quantity, item.price
    held = {contract_id: account.positions[contract_id].quantity for contract_id in marks}
    return Valuation(
        account_id=account.account_id,
        cash=account.cash,
        stock_value=sums[SecurityType.STOCK],
        option_value=sums[SecurityType.OPTION],
        future_value=sums[SecurityType.FUTURE],
        currency_value=sums[SecurityType.CURRENCY],
        currencies=currencies,
        gross_position_value=gross,
        unrealized=unrealized,
        realized=account.realized,
        income=account.income,
        commissions=account.commissions,
        daily=account.cash + sum(sums.values(), ZERO) - account.previous_net_liquidation,
        margin=requirement(held, instrument, lambda contract_id: marks.get(contract_id) or price(contract_id)),
        positions=positions,
    )


def end_of_day(account: Account, valuation: Valuation) -> None:
    """Make the present state the one from which daily profits count."""
    account.previous_net_liquidation = valuation.net_liquidation
    account.daily_bases = {
        item.instrument.contract_id: (item.unrealized, item.position.realized) for item in valuation.positions
    }


def _position_value(account: Account, instrument: Lookup, price: PriceOf, contract_id: int) -> PositionValue:
    position = account.positions[contract_id]
    held = instrument(contract_id)
    found = price(contract_id) if position.quantity else None
    if found is None:
        found = (position.average_cost / held.multiplier).quantize(CENT)
    unrealized = position.quantity * found * held.multiplier - position.cost
    base_unrealized, base_realized = account.daily_bases.get(contract_id, (ZERO, ZERO))
    daily = unrealized + position.realized - base_unrealized - base_realized
    return PositionValue(held, position, found, daily)
