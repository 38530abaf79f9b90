"""Cash and positions of one account, exact in Decimal.

A position's cost is in USD, includes the multiplier and the commissions of opening it, and is negative (received) for
a short one; divided by the quantity it is what IBKR shows as average cost, so an option's counts 100 shares. Closing
a part releases its share of the cost, rounded to the cent; the rest stays, and closing all releases all. So without
rounding error, at every moment, of every mixture of instruments,

    start + realized + income + transferred + unrealized = cash + sum(position values)

- A future is not paid for: buying and selling one moves no cash but the commission, and its profit moves cash when it
  is closed. (At a real broker it does so every day.) What was not paid is `Position.carried`, and the position is
  worth its market value less that.
- A currency pair is a position in the pair: EUR.USD holds EUR and has been paid for in USD.
- A position made by hand (`edit`) counts as transferred in at its cost.
"""

from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal

from services.simulator.core.instruments import Instrument, SecurityType

CENT = Decimal("0.01")
ZERO = Decimal(0)


def to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Position:
    """What is held of one contract (negative: short) and what it cost in USD."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    """Profit of what was closed so far, net of commissions."""
    carried: Decimal = ZERO
    """Of the cost, what was never paid: a future's value when it was opened."""

    @property
    def average_cost(self) -> Decimal:
        """USD per share or contract, the multiplier included."""
        return self.cost / self.quantity if self.quantity else ZERO

    def trade(self, quantity: Decimal, value: Decimal, expenses: Decimal, *, carry: bool = False) -> Decimal | None:
        """Add a trade of signed `quantity` at a total, equally signed `value`; `expenses` add to what it costs.

        Return the profit it realized, or None if it closed nothing. With `carry` the value is not paid but carried.
        """
        closing = ZERO
        if self.quantity * quantity < 0:
            closing = min(abs(quantity), abs(self.quantity)).copy_sign(quantity)
        whole = closing == quantity
        closing_value = value if whole else value * closing / quantity
        closing_expenses = expenses if whole else to_cents(expenses * closing / quantity)
        realized = None
        if closing:
            realized = -(closing_value + closing_expenses) - self.release(closing)
            self.realized += realized
        self.quantity += quantity - closing
        self.cost += value - closing_value + expenses - closing_expenses
        if carry:
            self.carried += value - closing_value
        return realized

    def release(self, closing: Decimal) -> Decimal:
        """Take `closing` (signed against the quantity, at most all of it) away and return the cost it had."""
        whole = closing == -self.quantity
        # multiplied first: a share like a third is not exact
        released = self.cost if whole else to_cents(self.cost * -closing / self.quantity)
        self.carried -= self.carried if whole else to_cents(self.carried * -closing / self.quantity)
        self.cost -= released
        self.quantity += closing
        return released


@dataclass(slots=True)
class Account:
    """One margin account in USD. `positions` is by contract id; closed ones stay, for what they realized."""

    account_id: str
    cash: Decimal
    positions: dict[int, Position] = field(default_factory=dict[int, Position])
    commissions: Decimal = ZERO
    realized: Decimal = ZERO
    income: Decimal = ZERO
    """Dividends received less those paid, less borrow fees."""
    transferred: Decimal = ZERO
    """Cost of what edits by hand brought in."""
    previous_net_liquidation: Decimal = ZERO
    """NetLiquidation at the end of the previous session, from which the daily profit counts."""
    daily_bases: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict[int, tuple[Decimal, Decimal]])
    """Of each position then: unrealized and realized profit, from which its own daily profit counts."""

    def __post_init__(self) -> None:
        self.previous_net_liquidation = self.cash

    def trade(self, instrument: Instrument, quantity: Decimal, price: Decimal, commission: Decimal) -> Decimal | None:
        """Book a fill of signed `quantity`; return the profit it realized, net of commissions, None if it closed none.

        `price` is in USD per share, or per unit of a contract's multiplier.
        """
        realized = self._book(instrument, quantity, price, commission)
        self.cash -= commission
        self.commissions += commission
        return realized

    def exercise(self, option: Instrument, stock: Instrument, contracts: Decimal) -> None:
        """Turn a signed number of held option contracts (negative: short ones, assigned) into shares at the strike.

        Nothing is realized on the option: its cost moves into the shares' cost, or into the profit of shares it closes.
        """
        premium = self.positions[option.contract_id].release(-contracts)
        shares = contracts * option.multiplier * (1 if option.right == "C" else -1)
        self._book(stock, shares, option.strike, premium)

    def split(self, instrument: Instrument, new: int, old: int, price: Decimal) -> None:
        """Give `new` shares for every `old` ones; a fraction of a share is closed at `price`, a new share's."""
        position = self.positions[instrument.contract_id]
        position.quantity = position.quantity * new / old
        fraction = position.quantity % 1  # Decimal's remainder has the sign of the quantity
        if fraction:
            self.trade(instrument, -fraction, price, ZERO)

    def receive(self, amount: Decimal) -> None:
        """Book income: a dividend, or, negative, a dividend owed on a short position or a fee."""
        self.cash += amount
        self.income += amount

    def edit(self, instrument: Instrument, quantity: Decimal, average_price: Decimal) -> None:
        """Set a position by hand, opened at `average_price` without commissions. Cash and profits do not move."""
        position = self.positions.setdefault(instrument.contract_id, Position())
        before = position.cost - position.carried
        position.quantity = quantity
        position.cost = quantity * average_price * instrument.multiplier
        position.carried = position.cost if instrument.security_type is SecurityType.FUTURE else ZERO
        self.transferred += position.cost - position.carried - before

    def quantity(self, contract_id: int) -> Decimal:
        position = self.positions.get(contract_id)
        return position.quantity if position else ZERO

    def held(self) -> list[int]:
        """Contract ids of the positions that are not zero, in the order they were first traded."""
        return [contract_id for contract_id, position in self.positions.items() if position.quantity]

    def copy(self) -> "Account":
        """Return an independent account, on which a trade can be tried."""
        positions = {contract_id: replace(position) for contract_id, position in self.positions.items()}
        copied = replace(self, positions=positions, daily_bases=dict(self.daily_bases))
        copied.previous_net_liquidation = self.previous_net_liquidation
        return copied

    def _book(self, instrument: Instrument, quantity: Decimal, price: Decimal, expenses: Decimal) -> Decimal | None:
        """Change the position, and cash by the value; `expenses` move with the position's cost alone."""
        position = self.positions.setdefault(instrument.contract_id, Position())
        value = quantity * price * instrument.multiplier
        carried = position.carried
        carry = instrument.security_type is SecurityType.FUTURE
        realized = position.trade(quantity, value, expenses, carry=carry)
        self.cash += position.carried - carried - value
        if realized is not None:
            self.realized += realized
        return realized
