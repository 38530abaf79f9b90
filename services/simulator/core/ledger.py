"""The ledger: what fills do to the accounts, and the record of all executions.

An execution id is a serial number of the fill, the number of its part (1, or from 2 the legs of a combination) and the
number of its version: a correction repeats an execution with the next version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from services.simulator.core.account import ZERO, Account
from services.simulator.core.combos import LegPrice
from services.simulator.core.commissions import Commissions
from services.simulator.core.orders import Execution, Order
from services.simulator.core.tape import Prices

_FIRST_SERIAL = 0x50000001


@dataclass(slots=True)
class _Charged:
    """What one order has traded in one contract, and has been charged for it."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO


class Ledger:
    """Books fills to `accounts`, by account id; the first one is the default."""

    def __init__(self, prices: Prices, accounts: Sequence[Account], commissions: Commissions) -> None:
        self.accounts = {account.account_id: account for account in accounts}
        self.executions: list[Execution] = []
        self._prices = prices
        self._commissions = commissions
        self._fills = 0
        self._charged: dict[tuple[int, int], _Charged] = {}

    def account(self, account_id: str) -> Account:
        """Return an account, for empty text the first one. Raises KeyError for one that is not there."""
        return self.accounts[account_id] if account_id else next(iter(self.accounts.values()))

    def fill(self, order: Order, quantity: Decimal, price: Decimal, now: datetime, *, resting: bool) -> Execution:
        """Book a fill of an order for one contract. The order has been told of it before."""
        self._fills += 1
        request = order.request
        commission, realized = self._trade(order, request.contract_id, request.sign, quantity, price)
        order.commission += commission
        return self._record(
            Execution(
                execution_id=self._identity(1),
                order=order.copy(),
                account=self.account(request.account).account_id,
                contract_id=request.contract_id,
                time=now,
                side=_side(request.sign),
                shares=quantity,
                price=price,
                venue=self._prices.instrument(request.contract_id).primary_exchange,
                commission=commission,
                realized=realized,
                added_liquidity=resting,
            )
        )

    def fill_combination(
        self, order: Order, quantity: Decimal, price: Decimal, legs: Sequence[LegPrice], now: datetime
    ) -> list[Execution]:
        """Book a fill of whole combinations: its own execution, which moves nothing, then one of each leg."""
        self._fills += 1
        request = order.request
        account_id = self.account(request.account).account_id
        outcomes = [
            self._trade(order, item.leg.contract_id, item.sign, quantity * item.leg.ratio, item.price) for item in legs
        ]
        order.commission += sum((commission for commission, _ in outcomes), ZERO)
        whole = Execution(
            execution_id=self._identity(1),
            order=order.copy(),
            account=account_id,
            contract_id=request.contract_id,
            time=now,
            side=_side(request.sign),
            shares=quantity,
            price=price,
            venue="SMART",
            commission=ZERO,
            realized=None,
            combo=True,
        )
        executions = [self._record(whole)]
        for number, (item, (commission, realized)) in enumerate(zip(legs, outcomes, strict=True), 2):
            part = replace(
                whole,
                execution_id=self._identity(number),
                contract_id=item.leg.contract_id,
                side=_side(item.sign),
                shares=quantity * item.leg.ratio,
                price=item.price,
                venue=self._prices.instrument(item.leg.contract_id).primary_exchange,
                commission=commission,
                realized=realized,
                combo=False,
                leg=True,
            )
            executions.append(self._record(part))
        return executions

    def correct(self, before: Execution, order: Order, price: Decimal) -> Execution:
        """Replace the price of an execution (not of a whole combination): it is taken back and booked again.

        Neither costs a commission. Returns the corrected execution.
        """
        sign = 1 if before.side == "BOT" else -1
        account, instrument = self.account(before.account), self._prices.instrument(before.contract_id)
        account.trade(instrument, -sign * before.shares, before.price, ZERO)
        realized = account.trade(instrument, sign * before.shares, price, ZERO)
        if not before.leg:
            order.filled_value += (price - before.price) * before.shares
        stem, _, version = before.execution_id.rpartition(".")
        identity = f"{stem}.{int(version) + 1:02d}"
        return self._record(replace(before, execution_id=identity, order=order.copy(), price=price, realized=realized))

    def _trade(
        self, order: Order, contract_id: int, sign: int, quantity: Decimal, price: Decimal
    ) -> tuple[Decimal, Decimal | None]:
        """Book one contract; return the commission and the realized profit."""
        instrument = self._prices.instrument(contract_id)
        charged = self._charged.setdefault((order.permanent_id, contract_id), _Charged())
        charged.quantity += quantity
        charged.value += quantity * price
        commission = self._commissions.increment(
            instrument, "BUY" if sign > 0 else "SELL", charged.quantity, abs(charged.value), charged.commission
        )
        charged.commission += commission
        account = self.account(order.request.account)
        return commission, account.trade(instrument, sign * quantity, price, commission)

    def _identity(self, part: int) -> str:
        return f"0000e0d5.{_FIRST_SERIAL + self._fills - 1:08x}.{part:02d}.01"

    def _record(self, execution: Execution) -> Execution:
        self.executions.append(execution)
        return execution


def _side(sign: int) -> str:
    return "BOT" if sign > 0 else "SLD"
