"""What the broker said, and what the gateway is asked to tell it. Only the gateway writes these events."""

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.messages.market import Bar
from shared.types import OrderStatus, SessionState, Side, Timeframe, TimeInForce


class SubmitOrder(Message):
    """A bracket: a limit entry with a protective stop and a target, transmitted as one.

    `order_id` goes to the broker as the entry's orderRef; the children carry `<order_id>.stop` and
    `<order_id>.target`. A gateway that reads this after `expires_at` sends nothing and reports EXPIRED.
    """

    order_id: str = Field(max_length=32)
    symbol: str
    side: Side
    quantity: Decimal = Field(gt=0)
    limit_price: Decimal = Field(gt=0)
    stop_price: Decimal = Field(gt=0)
    target_price: Decimal = Field(gt=0)
    time_in_force: TimeInForce
    expires_at: AwareDatetime


class ModifyOrder(Message):
    """Move the limit price of a working order."""

    order_ref: str
    limit_price: Decimal = Field(gt=0)


class CancelOrder(Message):
    """Cancel a working order at the broker; its children go with it."""

    order_ref: str


class RequestSnapshot(Message):
    """Ask for everything the broker knows: orders, executions, positions, account."""


class SessionChanged(Message):
    """The gateway's session moved to another state."""

    state: SessionState
    reason: str
    account: str | None


class BrokerTime(Message):
    """The broker's clock, from a round trip; in simulated mode this is what moves time."""

    now: AwareDatetime


class HistoryFetched(Message):
    """The answer to FetchHistory. `error` says why there are no bars; then `bars` is empty."""

    symbol: str
    timeframe: Timeframe
    bars: tuple[Bar, ...]
    error: str | None = None


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


class ExecutionReported(Message):
    """One fill. `execution_id` is the broker's and unique; `order_ref` is empty for orders that are not ours."""

    execution_id: str
    order_ref: str
    symbol: str
    side: Side
    quantity: Decimal = Field(gt=0)
    price: Decimal
    time: AwareDatetime
    perm_id: int


class CommissionReported(Message):
    """What one fill cost, in USD; follows its ExecutionReported."""

    execution_id: str
    commission: Decimal


class ErrorEffect(StrEnum):
    """What a broker error means for us. An unknown code changes nothing but is alerted."""

    ORDER_REJECTED = "order_rejected"
    ORDER_CANCELLED = "order_cancelled"
    WARNING = "warning"
    LINK = "link"
    DATA = "data"
    UNKNOWN = "unknown"


class BrokerErrorReported(Message):
    """An error or notice of the broker with the effect we give it."""

    code: int
    text: str
    effect: ErrorEffect
    order_ref: str | None = None


class BrokerPosition(Message):
    """Shares held at the broker (negative = short), with the broker's average cost per share in USD."""

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
