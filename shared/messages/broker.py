"""What the broker said. Only the gateway writes these events."""

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.types import OrderStatus, SessionState, Side


class SessionChanged(Message):
    """The gateway's session moved to another state, or has another reason for the same one. `since`: when it came
    into this state. `expected`: so far the outage, or with READY the one that ended, fits hours in which the broker has
    announced it."""

    state: SessionState
    reason: str
    account: str | None
    since: AwareDatetime
    expected: bool = False


class BrokerTime(Message):
    """The broker's clock, from a round trip; in simulated mode this is what moves time."""

    now: AwareDatetime


class OrderReported(Message):
    """The broker's word on one order. `reason` is its text where it refused, cancelled or warned."""

    order_ref: str
    status: OrderStatus
    filled: Decimal
    remaining: Decimal
    average_price: Decimal | None
    limit_price: Decimal | None
    broker_order_id: int
    perm_id: int
    reason: str | None = None
    trigger_price: Decimal | None = None


class OrderPreviewed(Message):
    """The answer to PreviewOrder: USD after the order, and the change by it. `error` says why there are no figures."""

    order_ref: str
    initial_margin: Decimal | None = None
    initial_margin_change: Decimal | None = None
    maintenance_margin: Decimal | None = None
    maintenance_margin_change: Decimal | None = None
    equity_with_loan: Decimal | None = None
    commission: Decimal | None = None
    warning: str | None = None
    error: str | None = None


class ExecutionReported(Message):
    """One fill. `execution_id` is the broker's and unique; `order_ref` is empty for orders that are not ours.

    `corrects` is the id of an earlier execution that this one replaces. `combination`: the fill of a combination as a
    whole, at its net price; its legs are reported as well, and only they move positions.
    """

    execution_id: str
    order_ref: str
    symbol: str
    side: Side
    quantity: Decimal = Field(gt=0)
    price: Decimal
    time: AwareDatetime
    perm_id: int
    multiplier: Decimal = Decimal(1)
    corrects: str | None = None
    combination: bool = False


class CommissionReported(Message):
    """What one fill cost, in USD; follows its ExecutionReported."""

    execution_id: str
    commission: Decimal


class ErrorEffect(StrEnum):
    """What a broker error means for us. An unknown code changes nothing but is alerted."""

    ORDER_REJECTED = "order_rejected"
    ORDER_CANCELLED = "order_cancelled"
    STILL_ALIVE = "still_alive"
    """A change, a cancel or an attribute was not taken: the order lives on as it was."""
    WARNING = "warning"
    PACING = "pacing"
    """We asked too much or too often; the request was not carried out."""
    LINK = "link"
    DATA = "data"
    UNKNOWN = "unknown"


class BrokerErrorReported(Message):
    """An error or notice of the broker with the effect we give it."""

    code: int
    text: str
    effect: ErrorEffect
    order_ref: str | None = None
    symbol: str | None = None


class BrokerPosition(Message):
    """Shares or contracts held at the broker (negative = short), with the broker's average cost of one in USD.

    IBKR's cost of an option includes its multiplier: 250 for one bought at 2.50.
    """

    symbol: str
    quantity: Decimal
    average_cost: Decimal


class AccountValues(Message):
    """The account in USD as the broker reports it."""

    account: str
    net_liquidation: Decimal
    cash: Decimal
    buying_power: Decimal


class BrokerSnapshot(Message):
    """Everything the broker knows at one moment. `request_id` is the id of the RequestSnapshot it answers, None
    after a (re)connect. Executions are those since midnight, exchange time; orders are open and completed ones."""

    request_id: UUID | None
    account: AccountValues
    positions: tuple[BrokerPosition, ...]
    orders: tuple[OrderReported, ...]
    executions: tuple[ExecutionReported, ...]
    commissions: tuple[CommissionReported, ...]
