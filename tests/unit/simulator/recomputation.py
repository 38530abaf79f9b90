"""Books recomputed from executions alone, by the rules that the account and the commission schedule state."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Execution
from tests.unit.simulator.world import CASH

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass
class Recomputed:
    """Books from executions alone, by the rules that the account and the commission schedule state."""

    cash: Decimal = CASH
    commissions: Decimal = Decimal(0)
    positions: dict[int, tuple[Decimal, Decimal, Decimal]] = field(default_factory=dict)
    """By contract: quantity, cost, realized profit."""
    orders: dict[tuple[int, int], list[tuple[Decimal, Decimal, Decimal]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By permId and contract: quantity, price and commission of each fill."""

    def add(self, execution: Execution, instrument: Instrument) -> None:
        signed = execution.shares if execution.side == "BOT" else -execution.shares
        value = signed * execution.price * instrument.multiplier
        self.cash -= value + execution.commission
        self.commissions += execution.commission
        fills = self.orders[execution.order.permanent_id, execution.contract_id]
        fills.append((execution.shares, execution.price, execution.commission))
        assert sum(fill[2] for fill in fills) == commission(instrument, fills)
        zero = Decimal(0)
        quantity, cost, realized = self.positions.get(execution.contract_id, (zero, zero, zero))
        if quantity * signed >= 0:
            assert execution.realized is None
            self.positions[execution.contract_id] = quantity + signed, cost + value + execution.commission, realized
            return
        closed, whole = min(abs(signed), abs(quantity)), abs(signed)
        fee = execution.commission if closed == whole else rounded(execution.commission * closed / whole)
        released = cost if closed == abs(quantity) else rounded(cost * closed / abs(quantity))
        part = closed.copy_sign(signed) * execution.price * instrument.multiplier
        profit = -part - fee - released
        assert execution.realized == profit
        opened = value - part + execution.commission - fee
        self.positions[execution.contract_id] = quantity + signed, cost - released + opened, realized + profit


def commission(instrument: Instrument, fills: list[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    """The most that the schedule asked for after any of the fills: it gives nothing back."""
    quantity = value = most = Decimal(0)
    for shares, price, _ in fills:
        quantity, value = quantity + shares, value + shares * price
        if instrument.right:
            premium = value / quantity
            rate = "0.25" if premium < Decimal("0.05") else "0.50" if premium < Decimal("0.1") else "0.65"
            asked = max(quantity * Decimal(rate), Decimal(1))
        else:
            asked = min(max(quantity * Decimal("0.005"), Decimal(1)), value / 100)
        most = max(most, rounded(asked))
    return most
