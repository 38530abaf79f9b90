"""What happens to positions overnight, without any order: exercise, assignment, expiry, dividends, splits, borrow fees.

All of it happens at 02:30 in New York, when real accounts show it, in this order for each account:
1. Exercise that was asked for (`instruct`), of American options on any night.
2. Expiry, in the night after the last day. A long option that is in the money by 0.01 or more is exercised unless the
   holder said otherwise (OCC rule 805, exercise by exception), a short one is assigned; 100 shares per contract move
   at the strike. An option on anything but a stock settles in cash. Out of the money it is worth nothing. A future
   settles in cash at its last price. What counts is the underlying's last regular price before the night.
3. Early assignment: a short call in the money is assigned in the night before its stock goes ex dividend, if the
   dividend is more than the call's remaining time value. No other early assignment is simulated.
4. Cash dividends, on the ex-date, although real ones are paid weeks later; a short position pays them.
5. Splits, on the ex-date: quantity times ratio, a fraction of a share is paid out. Options on the stock, which the OCC
   would adjust, are closed at their mark price.
6. Borrow fees on short stock, a yearly fraction of its value / 360 per night; real ones differ by stock and day.

The premium of an exercised or assigned option moves into the cost of the shares (or into the profit of shares that it
closes); of an option that expires worthless it is realized. Nothing here costs a commission, as at IBKR. There is no
liquidation of an account that exercise leaves short of margin.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from services.simulator.core.account import ZERO, Account, to_cents
from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.orders import PositionMoved
from services.simulator.core.tape import Prices
from services.simulator.core.valuation import mark

NIGHT = time(2, 30)
_IN_THE_MONEY = Decimal("0.01")
_FEE_DAYS = 360
_LARGEST_SPLIT = 1000


class ActionKind(StrEnum):
    DIVIDEND = "dividend"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """`day` is the ex-date; `value` is USD per share, or new shares per old share."""

    day: date
    kind: ActionKind
    value: Decimal


ActionsOf: TypeAlias = Callable[[int], Sequence[CorporateAction]]
"""The corporate actions of a stock, by contract id."""


def next_night(after: datetime) -> datetime:
    """Return the first night later than `after`, in UTC."""
    day = after.astimezone(EXCHANGE_ZONE).date()
    nights = (datetime.combine(day + timedelta(days=days), NIGHT, EXCHANGE_ZONE).astimezone(UTC) for days in (0, 1))
    return next(night for night in nights if night > after)


@dataclass(slots=True)
class Instruction:
    """What the holder of an option asked for: exercise of so many contracts, or that it lapses."""

    exercise: bool
    contracts: Decimal
    override: bool


@dataclass(slots=True)
class Overnight:
    """The nights of one broker. `borrow_fee` is a fraction per year."""

    prices: Prices
    actions: ActionsOf
    borrow_fee: Decimal = ZERO
    instructions: dict[tuple[str, int], Instruction] = field(default_factory=dict[tuple[str, int], Instruction])
    """By account and contract id."""

    def refuse(self, account: Account, contract_id: int, instruction: Instruction, now: datetime) -> str | None:
        """Return why an instruction cannot be taken, or None."""
        option = self.prices.instrument(contract_id)
        held = account.quantity(contract_id)
        if option.security_type is not SecurityType.OPTION:
            return "Only options can be exercised"
        if held <= 0 or not 0 < instruction.contracts <= held or instruction.contracts % 1:
            return f"Cannot exercise {instruction.contracts:f} contracts of a position of {max(held, ZERO):f}"
        in_the_money = self._intrinsic(option, now) >= _IN_THE_MONEY
        if instruction.exercise != in_the_money and not instruction.override:
            what, natural = ("Exercise", "not in") if instruction.exercise else ("Lapse", "in")
            return f"{what} ignored because option is {natural}-the-money"
        return None

    def instruct(self, account: Account, contract_id: int, instruction: Instruction) -> None:
        """Note what a holder wants done with an option, in place of what he wanted before."""
        self.instructions[account.account_id, contract_id] = instruction

    def splits(self, contract_ids: Iterable[int], night: datetime) -> list[int]:
        """Return those of the stocks that split in this night."""
        day = night.astimezone(EXCHANGE_ZONE).date()
        return [contract_id for contract_id in contract_ids if self._of(contract_id, day, ActionKind.SPLIT)]

    def apply(self, night: datetime, accounts: Iterable[Account]) -> list[PositionMoved]:
        """Let one night pass; return the positions that moved, each once."""
        moved: dict[tuple[str, int], None] = {}
        for account in accounts:
            for step in (self._exercise, self._expire, self._assign_early, self._pay_dividends, self._split):
                for contract_id in sorted(account.held()):
                    for changed in step(account, self.prices.instrument(contract_id), night):
                        moved[account.account_id, changed] = None
            self._charge_borrow_fees(account, night)
        return [PositionMoved(account_id, contract_id) for account_id, contract_id in moved]

    # -- options and futures ----------------------------------------------------------------------------------------

    def _exercise(self, account: Account, option: Instrument, night: datetime) -> Sequence[int]:
        key = account.account_id, option.contract_id
        instruction = self.instructions.get(key)
        if instruction is None or not instruction.exercise:
            return ()
        del self.instructions[key]
        contracts = min(instruction.contracts, account.quantity(option.contract_id))
        if contracts <= 0 or (self._intrinsic(option, night) < _IN_THE_MONEY and not instruction.override):
            return ()
        return self._deliver(account, option, contracts, night)

    def _expire(self, account: Account, held: Instrument, night: datetime) -> Sequence[int]:
        quantity = account.quantity(held.contract_id)
        if not quantity or held.expiry is None or held.expiry >= night.astimezone(EXCHANGE_ZONE).date():
            return ()
        if held.security_type is SecurityType.FUTURE:
            price = mark(self.prices, held.contract_id, night)
            if price is None:  # made by hand, in a contract that never traded
                return ()
            account.trade(held, -quantity, price, ZERO)
            return (held.contract_id,)
        instruction = self.instructions.pop((account.account_id, held.contract_id), None)
        lapsing = min(instruction.contracts, quantity) if instruction is not None and quantity > 0 else ZERO
        exercised = quantity - lapsing if self._intrinsic(held, night) >= _IN_THE_MONEY else ZERO
        moved = self._deliver(account, held, exercised, night) if exercised else (held.contract_id,)
        if exercised != quantity:
            account.trade(held, exercised - quantity, ZERO, ZERO)
        return moved

    def _assign_early(self, account: Account, option: Instrument, night: datetime) -> Sequence[int]:
        quantity = account.quantity(option.contract_id)
        if quantity >= 0 or option.right != "C":
            return ()
        dividend = sum(
            self._of(option.underlying_id, night.astimezone(EXCHANGE_ZONE).date(), ActionKind.DIVIDEND), ZERO
        )
        intrinsic = self._intrinsic(option, night)
        worth = mark(self.prices, option.contract_id, night) if dividend else None
        if intrinsic < _IN_THE_MONEY or worth is None or worth - intrinsic >= dividend:
            return ()
        return self._deliver(account, option, quantity, night)

    def _deliver(self, account: Account, option: Instrument, contracts: Decimal, night: datetime) -> Sequence[int]:
        """Settle exercised (negative: assigned) contracts; return what moved."""
        underlying = self.prices.instrument(option.underlying_id)
        if underlying.security_type is SecurityType.STOCK:
            account.exercise(option, underlying, contracts)
            return option.contract_id, underlying.contract_id
        account.trade(option, -contracts, self._intrinsic(option, night), ZERO)
        return (option.contract_id,)

    def _intrinsic(self, option: Instrument, now: datetime) -> Decimal:
        """Return what an option is in the money by the underlying's last regular price, 0 if it is not."""
        latest = self.prices.latest(option.underlying_id, now)
        if latest is None:
            return ZERO
        tape, index = latest
        price = tape.price(tape.last[min(index, tape.regular[1])])
        return max(ZERO, price - option.strike if option.right == "C" else option.strike - price)

    # -- stocks -----------------------------------------------------------------------------------------------------

    def _of(self, contract_id: int, day: date, kind: ActionKind) -> list[Decimal]:
        return [action.value for action in self.actions(contract_id) if action.day == day and action.kind is kind]

    def _pay_dividends(self, account: Account, stock: Instrument, night: datetime) -> Sequence[int]:
        if stock.security_type is SecurityType.STOCK:
            for value in self._of(stock.contract_id, night.astimezone(EXCHANGE_ZONE).date(), ActionKind.DIVIDEND):
                account.receive(to_cents(account.quantity(stock.contract_id) * value))
        return ()

    def _split(self, account: Account, held: Instrument, night: datetime) -> Sequence[int]:
        quantity = account.quantity(held.contract_id)
        stock_id = held.underlying_id or held.contract_id
        ratios = self._of(stock_id, night.astimezone(EXCHANGE_ZONE).date(), ActionKind.SPLIT)
        price = mark(self.prices, held.contract_id, night)
        if not ratios or not quantity or price is None:
            return ()
        if held.security_type is SecurityType.OPTION:
            account.trade(held, -quantity, price, ZERO)
            return (held.contract_id,)
        for value in ratios:
            ratio = Fraction(value).limit_denominator(_LARGEST_SPLIT)
            account.split(held, ratio.numerator, ratio.denominator, to_cents(price / value))
        return (held.contract_id,)

    def _charge_borrow_fees(self, account: Account, night: datetime) -> None:
        if not self.borrow_fee:
            return
        for contract_id in account.held():
            quantity = account.quantity(contract_id)
            is_stock = self.prices.instrument(contract_id).security_type is SecurityType.STOCK
            price = mark(self.prices, contract_id, night) if quantity < 0 and is_stock else None
            if price is not None:
                account.receive(to_cents(quantity * price * self.borrow_fee / _FEE_DAYS))
