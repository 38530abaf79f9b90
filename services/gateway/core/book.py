"""What the broker has told about orders and executions since this connection began.

Invariants:
1. Only the broker's own words change an order here; an error changes one only when it refuses a new order or says
   that the order is cancelled.
2. A listing (open orders, completed orders, executions) that was answered completely replaces what was known
   before it, so what the broker has forgotten is not reported as alive.
3. Orders without an orderRef are not ours and are left out; executions without one are kept: they move positions.
"""

from decimal import Decimal

from services.gateway.core.ib_map import DUPLICATE_ORDER_ID, error_effect, order_status
from shared.messages.broker import (
    CommissionReported,
    ErrorEffect,
    ExecutionReported,
    OrderReported,
)
from shared.types import OrderStatus

ZERO = Decimal(0)


class Book:
    """Orders by orderRef, executions and commissions by execution id."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderReported] = {}
        self.executions: dict[str, ExecutionReported] = {}
        self.commissions: dict[str, CommissionReported] = {}
        self._references: dict[int, str] = {}
        self._acknowledged: set[str] = set()
        self._listed: set[str] = set()
        self._doubted: set[str] = set()

    # Listings

    def begin_listing(self) -> None:
        self._listed = set()
        self.executions, self.commissions = {}, {}

    def end_listing(self) -> None:
        """The broker's answers are complete: what it did not mention, it does not know."""
        self._acknowledged &= self._listed
        self.orders = {reference: report for reference, report in self.orders.items() if reference in self._listed}

    # Orders

    def sent(self, report: OrderReported) -> None:
        """An order is on its way to the broker, which has not said a word about it."""
        self._references[report.broker_order_id] = report.order_ref
        self._keep(report)

    def terms(
        self, order_ref: str, broker_order_id: int, perm_id: int, quantity: Decimal, limit_price: Decimal | None
    ) -> None:
        """The broker tells an order's terms (openOrder); its state follows in `status`."""
        known = self.orders.get(order_ref) or blank_report(order_ref, broker_order_id, quantity)
        self._references[broker_order_id] = order_ref
        self._acknowledged.add(order_ref)
        update = {"broker_order_id": broker_order_id, "perm_id": perm_id, "limit_price": limit_price}
        self._keep(known.model_copy(update=update))

    def status(
        self,
        broker_order_id: int,
        word: str,
        filled: Decimal,
        remaining: Decimal,
        average_price: Decimal | None,
        perm_id: int,
    ) -> OrderReported | None:
        """The broker tells an order's state (orderStatus); None for an order that is not ours."""
        order_ref = self._references.get(broker_order_id)
        if order_ref is None:
            return None
        self._acknowledged.add(order_ref)
        state = order_status(word, filled)
        known = self.orders.get(order_ref) or blank_report(order_ref, broker_order_id, filled + remaining)
        update = {
            "status": state,
            "filled": filled,
            "remaining": remaining,
            "average_price": average_price if filled else None,
            "perm_id": perm_id,
            "reason": known.reason if state.is_final else None,
        }
        return self._keep(known.model_copy(update=update))

    def completed(self, report: OrderReported) -> OrderReported | None:
        """The broker lists an order that is done; None when its end was told already, with more detail."""
        known = self.orders.get(report.order_ref)
        self._listed.add(report.order_ref)
        self._acknowledged.add(report.order_ref)
        if known is not None and known.status.is_final:
            return None
        return self._keep(report)

    def error(self, broker_order_id: int, code: int, text: str) -> tuple[ErrorEffect, str | None, OrderReported | None]:
        """An error or notice: its effect, the orderRef it names, and the order's new state if it has one."""
        order_ref = self._references.get(broker_order_id)
        if order_ref is None:
            return error_effect(code, new_order=False), None, None
        known = self.orders.get(order_ref) or blank_report(order_ref, broker_order_id, ZERO)
        effect = error_effect(code, new_order=order_ref not in self._acknowledged)
        if known.status is OrderStatus.FILLED:
            return effect, order_ref, None
        reason = f"{code} {text}"
        if effect is ErrorEffect.ORDER_REJECTED:
            return effect, order_ref, self._keep(known.model_copy(update=_ended(OrderStatus.REJECTED, reason)))
        if effect is ErrorEffect.ORDER_CANCELLED:
            return effect, order_ref, self._keep(known.model_copy(update=_ended(OrderStatus.CANCELLED, reason)))
        if code == DUPLICATE_ORDER_ID and order_ref not in self._acknowledged:
            return effect, order_ref, known.model_copy(update=_ended(OrderStatus.UNKNOWN, reason))
        return effect, order_ref, None

    def known(self, order_ref: str) -> OrderReported | None:
        """The broker's last word on an order; None for one that was only sent."""
        return self.orders.get(order_ref) if order_ref in self._acknowledged else None

    def reference(self, broker_order_id: int) -> str | None:
        return self._references.get(broker_order_id)

    def _keep(self, report: OrderReported) -> OrderReported:
        self.orders[report.order_ref] = report
        self._listed.add(report.order_ref)
        return report

    # Executions

    def executed(self, execution: ExecutionReported) -> str | None:
        """Keep an execution; returns a warning, once, when it contradicts or corrects one that is known."""
        known = self.executions.get(execution.execution_id)
        corrected = next((other for other in self.executions if _corrects(execution.execution_id, other)), None)
        self.executions[execution.execution_id] = execution
        if execution.execution_id in self._doubted or (corrected is None and known in (None, execution)):
            return None
        self._doubted.add(execution.execution_id)
        if known is not None and known != execution:
            return f"execution {execution.execution_id} was {known}, and is now {execution}"
        return f"execution {execution.execution_id} corrects {corrected}: both are reported, mend the books by hand"

    def charged(self, commission: CommissionReported) -> None:
        self.commissions[commission.execution_id] = commission


def blank_report(order_ref: str, broker_order_id: int, quantity: Decimal) -> OrderReported:
    """An order of which nothing is known but its size in shares."""
    return OrderReported(
        order_ref=order_ref,
        status=OrderStatus.UNKNOWN,
        filled=ZERO,
        remaining=quantity,
        average_price=None,
        limit_price=None,
        broker_order_id=broker_order_id,
        perm_id=0,
    )


def _ended(status: OrderStatus, reason: str) -> dict[str, object]:
    return {"status": status, "reason": reason}


def _corrects(execution_id: str, other: str) -> bool:
    """Whether one execution id is a later version of another.

    IBKR numbers the versions of one fill in the last part of its id: `0000e0d5.69dd7411.01.02` corrects `....01.01`
    (https://interactivebrokers.github.io/tws-api/executions_commissions.html).
    """
    fill, _, version = execution_id.rpartition(".")
    other_fill, _, other_version = other.rpartition(".")
    return bool(fill) and fill == other_fill and version > other_version
