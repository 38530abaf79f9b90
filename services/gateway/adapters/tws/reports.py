"""What the broker says of orders and fills, as our messages."""

from datetime import UTC
from decimal import Decimal, InvalidOperation

from ib_async.contract import Contract
from ib_async.objects import Execution
from ib_async.order import Order, OrderState

from services.gateway.adapters.tws.convert import decimal_or_none, number
from services.gateway.adapters.tws.names import COMBINATION, name_of
from services.gateway.core.book import ZERO, blank_report, order_status
from services.gateway.ports import RequestRefused
from shared.messages.broker import ExecutionReported, OrderPreviewed, OrderReported
from shared.types import OrderType, Side

_HAS_LIMIT = frozenset(
    {OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.LIMIT_ON_CLOSE}
)  # fmt: skip
_HAS_TRIGGER = frozenset(
    {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED}
)
_TRAILS = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})
_UNSET = Decimal("1.79E308")
"""IBKR writes the largest double, in one spelling or another, for a figure that it leaves open."""
_FIGURES = {
    "initial_margin": "initMarginAfter",
    "initial_margin_change": "initMarginChange",
    "maintenance_margin": "maintMarginAfter",
    "maintenance_margin_change": "maintMarginChange",
    "equity_with_loan": "equityWithLoanAfter",
}


def open_order(order: Order) -> OrderReported:
    """What an openOrder tells: the order's terms. Its state and fills come with orderStatus."""
    kind = order.orderType
    trigger = order.auxPrice if kind in _HAS_TRIGGER else order.trailStopPrice if kind in _TRAILS else None
    report = blank_report(order.orderRef, order.orderId, number(float(order.totalQuantity)), order.permId)
    return report.model_copy(
        update={
            "limit_price": decimal_or_none(order.lmtPrice) if kind in _HAS_LIMIT else None,
            "trigger_price": decimal_or_none(trigger),
        }
    )


def completed_order(order: Order, state: OrderState) -> OrderReported:
    """What a completedOrder tells. It has no order id and no average price; the executions have."""
    terms = open_order(order)
    filled = decimal_or_none(order.filledQuantity) or ZERO
    return terms.model_copy(
        update={
            "status": order_status(state.status, filled),
            "filled": filled,
            "remaining": max(terms.remaining - filled, ZERO),
            "broker_order_id": 0,
            "reason": state.completedStatus or None,
        }
    )


def execution(contract: Contract, told: Execution) -> ExecutionReported:
    """One fill; of a combination there is one as a whole, and one for each leg."""
    return ExecutionReported(
        execution_id=told.execId,
        order_ref=told.orderRef,
        symbol=name_of(contract),
        side=Side.BUY if told.side == "BOT" else Side.SELL,
        quantity=number(told.shares),
        price=number(told.price),
        time=told.time.astimezone(UTC),
        perm_id=told.permId,
        multiplier=Decimal(contract.multiplier or 1),
        combination=contract.secType == COMBINATION,
    )


def unset_figures(state: OrderState) -> list[str]:
    """The figures that a what-if answer leaves open."""
    return [name for name, attribute in _FIGURES.items() if _figure(getattr(state, attribute)) is None]


def preview(order_ref: str, state: OrderState) -> OrderPreviewed:
    """The answer to a what-if order.

    Raises:
        RequestRefused: figures are unset.
    """
    if unset := unset_figures(state):
        warning = f": {state.warningText}" if state.warningText else ""
        raise RequestRefused(f"the broker left {', '.join(unset)} unset{warning}")
    commission = _figure(state.commission)
    figures = {name: _figure(getattr(state, attribute)) for name, attribute in _FIGURES.items()}
    return OrderPreviewed(order_ref=order_ref, warning=state.warningText or None).model_copy(
        update={**figures, "commission": commission if commission is not None else _figure(state.maxCommission)}
    )


def _figure(value: str | float) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found < _UNSET else None
