"""Approved orders (only risk writes commands) and the life of every order (only execution writes events)."""

from decimal import Decimal
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from shared.messages.base import Message
from shared.messages.broker import AccountValues
from shared.messages.broker_commands import ComboLeg, NetPrice
from shared.messages.risk import RuleCheck
from shared.types import Leg, OrderStatus, Side, TimeInForce


class PlaceOrder(Message):
    """An intent that passed every rule, sized and priced. Prices in USD per share, quantity in shares.

    Without `stop_price` and `target_price` it is a single order; a stop always has a target beside it. With `legs` it
    is for a combination on `symbol`, has a `net_price` in place of a limit, and is a single order.
    """

    order_id: str = Field(max_length=32)
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal = Field(gt=0)
    limit_price: Decimal | None = Field(default=None, gt=0)
    stop_price: Decimal | None = Field(default=None, gt=0)
    target_price: Decimal | None = Field(default=None, gt=0)
    time_in_force: TimeInForce
    expires_at: AwareDatetime
    checks: tuple[RuleCheck, ...]
    legs: tuple[ComboLeg, ...] = ()
    net_price: NetPrice | None = None

    @model_validator(mode="after")
    def _closes_once(self) -> Self:
        if self.stop_price is not None and self.target_price is None:
            raise ValueError(
                f"order {self.order_id} has a stop and no target; add one: a position is closed by moving its target"
            )
        return self


class ClosePosition(Message):
    """Close what `order_id` opened, at a price that trades now: by its target, or by an order of its own without one.

    The stop stays linked to the target at the broker, so the position can never be sold twice. With `legs` it closes
    the combination that was entered with these legs, at `net_price` in place of a limit.
    """

    order_id: str
    symbol: str
    limit_price: Decimal | None = Field(default=None, gt=0)
    reason: str
    legs: tuple[ComboLeg, ...] = ()
    net_price: NetPrice | None = None


class CancelEntry(Message):
    """Cancel an entry that has not filled; its protective children go with it."""

    order_id: str
    reason: str


class Reconcile(Message):
    """Compare our books with the broker's and say so with Reconciled."""


class OrderChanged(Message):
    """An order moved from one status to another."""

    order_ref: str
    order_id: str
    leg: Leg
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    status: OrderStatus
    previous: OrderStatus
    filled: Decimal
    reason: str | None


class OrderFilled(Message):
    """A fill is in the books. `realised` is this fill's gross profit in USD, before commission;
    `position_quantity` (shares or contracts) and `average_price` (USD for one) are the position after it.
    `corrects`: the execution id of a fill in whose place this one is booked."""

    execution_id: str
    order_ref: str
    order_id: str
    leg: Leg
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    position_quantity: Decimal
    average_price: Decimal
    time: AwareDatetime
    corrects: str | None = None


class CommissionBooked(Message):
    """The commission of one fill, USD, is in the books."""

    execution_id: str
    symbol: str
    commission: Decimal


class Break(Message):
    """One difference between our books and the broker's. `unprotected`: the order whose position has lost its stop."""

    subject: str
    ours: str
    broker: str
    unprotected: str | None = None


class Reconciled(Message):
    """Our books were compared with the broker's. Trading is armed only when `breaks` is empty."""

    request_id: UUID | None
    account: AccountValues
    breaks: tuple[Break, ...]
