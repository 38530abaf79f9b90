"""Orders, executions and what the engine says about them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

OrderKey: TypeAlias = tuple[int, int]
"""Client id and order id: how the TWS API names an order."""


class Status(StrEnum):
    """An order's status as TWS names it. HELD is ours: received, not transmitted, unknown to everybody else."""

    HELD = "Held"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"


LIVE = frozenset({Status.PRE_SUBMITTED, Status.SUBMITTED})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for. Prices in USD, None where the order type has none; quantity in shares."""

    client_id: int
    order_id: int
    symbol: str
    action: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = "DAY"
    oca_group: str = ""
    oca_type: int = 3
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    outside_regular_hours: bool = False

    @property
    def key(self) -> OrderKey:
        return self.client_id, self.order_id

    @property
    def sign(self) -> int:
        return 1 if self.action == "BUY" else -1


@dataclass(slots=True)
class Order:
    """An order at the broker. The engine changes it; what leaves the engine is a copy."""

    request: OrderRequest
    permanent_id: int
    status: Status
    oca_group: str
    root: OrderKey
    """The parent's key, or the order's own: the family that is transmitted together."""
    sequence: int
    filled: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    last_fill_price: Decimal = Decimal(0)
    waits_for_parent: bool = False
    active_after: datetime | None = None
    """A child is first compared with a quote later than its parent's fill."""
    completed_at: datetime | None = None
    completed_reason: str = ""

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def remaining(self) -> Decimal:
        return self.request.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.filled_value / self.filled if self.filled else Decimal(0)

    @property
    def why_held(self) -> str:
        """TWS's reasons why an order does not work at the exchange yet."""
        if self.status is not Status.PRE_SUBMITTED:
            return ""
        reasons = ("child",) if self.waits_for_parent else ()
        return ",".join((*reasons, "trigger") if self.request.order_type == "STP" else reasons)

    def copy(self) -> "Order":
        return replace(self)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill; `time` is aware UTC, `realized` is net of commissions and None when nothing was closed."""

    execution_id: str
    order: Order
    symbol: str
    time: datetime
    side: str
    shares: Decimal
    price: Decimal
    venue: str
    commission: Decimal
    realized: Decimal | None


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """Terms or status of an order are new: TWS sends openOrder and orderStatus."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """An order is cancelled: TWS sends orderStatus and then error 202."""

    order: Order


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill: TWS sends execDetails, the order's new state, then the commission report."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Notice:
    """An error or warning about an order of one client."""

    client_id: int
    order_id: int
    code: int
    text: str


Event: TypeAlias = OrderChanged | OrderCancelled | Executed | Notice


@dataclass(frozen=True, slots=True)
class ReceivedOrder:
    """An entry of the log of received orders: nothing in it depends on connection or order ids."""

    time: datetime
    what: str
    order_ref: str = ""
    symbol: str = ""
    action: str = ""
    quantity: Decimal | None = None
    order_type: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = ""
    parent_ref: str = ""


def received(time: datetime, what: str, request: OrderRequest, parent_ref: str) -> ReceivedOrder:
    return ReceivedOrder(
        time=time,
        what=what,
        order_ref=request.order_ref,
        symbol=request.symbol,
        action=request.action,
        quantity=request.quantity,
        order_type=request.order_type,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        time_in_force=request.time_in_force,
        parent_ref=parent_ref,
    )


@dataclass(slots=True)
class OrderBook:
    """Every order the broker knows, by key, in the order received."""

    orders: dict[OrderKey, Order] = field(default_factory=dict[OrderKey, Order])
    highest_id: dict[int, int] = field(default_factory=dict[int, int])
    """The highest order id each client has used, also for orders that were refused."""

    def live(self) -> list[Order]:
        return [order for order in self.orders.values() if order.live]

    def children(self, parent: Order) -> list[Order]:
        client = parent.request.client_id
        return [
            order
            for order in self.orders.values()
            if order.request.parent_id == parent.request.order_id
            and order.request.client_id == client
            and order is not parent
        ]

    def family(self, order: Order) -> list[Order]:
        return [member for member in self.orders.values() if member.root == order.root]

    def oca_siblings(self, order: Order) -> list[Order]:
        if not order.oca_group:
            return []
        return [other for other in self.live() if other.oca_group == order.oca_group and other is not order]
