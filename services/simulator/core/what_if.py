"""What an order would do to its account: the margin check of new orders, and the answer to a what-if order.

Assumptions: the order is tried whole, at the present mark prices, and pays its commission. Other working orders
reserve nothing. An order is refused if it leaves the account without available funds and does not make them more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from services.simulator.core.account import ZERO, Account
from services.simulator.core.combos import leg_sign
from services.simulator.core.commissions import Commissions
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import OrderRequest
from services.simulator.core.rules import Refusal, rejected
from services.simulator.core.valuation import Valuation, value


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An account before and after an order, in USD; equity is EquityWithLoanValue."""

    before: Valuation
    after: Valuation
    commission: Decimal

    @property
    def initial_margin_change(self) -> Decimal:
        return self.after.initial_margin - self.before.initial_margin

    @property
    def maintenance_margin_change(self) -> Decimal:
        return self.after.maintenance_margin - self.before.maintenance_margin

    @property
    def equity_change(self) -> Decimal:
        return self.after.equity_with_loan - self.before.equity_with_loan

    def refusal(self) -> Refusal | None:
        """Return why the order is refused, None if the account can carry it."""
        least = min(ZERO, self.before.available_funds - self.commission)
        if self.after.available_funds >= least:
            return None
        return rejected(
            "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
            f"WITH LOAN VALUE [{self.before.equity_with_loan:.2f} USD] MUST EXCEED THE INITIAL MARGIN "
            f"[{self.after.initial_margin:.2f} USD]"
        )


def try_order(
    request: OrderRequest,
    quantity: Decimal,
    account: Account,
    commissions: Commissions,
    instrument: Callable[[int], Instrument],
    price: Callable[[int], Decimal | None],
) -> WhatIf | None:
    """Return what trading `quantity` would do; None if a contract has never had a price."""
    parts = [(leg.contract_id, leg_sign(leg) * leg.ratio) for leg in request.legs] or [(request.contract_id, 1)]
    trial, commission = account.copy(), ZERO
    for contract_id, ratio in parts:
        at = price(contract_id)
        if at is None:
            return None
        traded, contract = request.sign * ratio * quantity, instrument(contract_id)
        side = "BUY" if traded > 0 else "SELL"
        charge = commissions.of_fills(contract, side, abs(traded), abs(traded) * at)
        trial.trade(contract, traded, at, charge)
        commission += charge
    return WhatIf(value(account, instrument, price), value(trial, instrument, price), commission)
