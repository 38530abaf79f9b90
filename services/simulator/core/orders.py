"""Orders, executions and what the engine says about them."""

from dataclasses import dataclass, replace
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
TRIGGERED = frozenset({"STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MIT", "LIT"})
"""Order types that wait for the last price to reach a trigger."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a combination: `ratio` contracts per unit, BUY or SELL as seen by a buyer of the combination."""

    contract_id: int
    ratio: int
    action: str
    exchange: str = "SMART"


class ConditionKind(StrEnum):
    """TWS's numbers of the kinds of conditions."""

    PRICE = "1"
    TIME = "3"
    MARGIN = "4"
    EXECUTION = "5"
    VOLUME = "6"
    PERCENT_CHANGE = "7"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an order. `conjunction` joins it to the next one: a(nd) or o(r)."""

    kind: ConditionKind
    conjunction: str
    is_more: bool = True
    value: Decimal | None = None
    """Price in the instrument's currency, margin cushion in percent, volume in shares, or change in percent."""
    time: datetime | None = None
    contract_id: int = 0
    symbol: str = ""
    security_type: str = ""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for. Prices in the instrument's currency, None where the order has none."""

    client_id: int
    order_id: int
    contract_id: int
    action: str
    quantity: Decimal
    order_type: str
    account: str = ""
    """The account's id; empty means the first one."""
    legs: tuple[Leg, ...] = ()
    """Only of a combination, whose prices are net prices: positive is paid by a buyer, negative received."""
    limit_price: Decimal | None = None
    aux_price: Decimal | None = None
    """Stop or trigger price; the trailing amount of TRAIL; the offset of REL and the pegged types."""
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    limit_price_offset: Decimal | None = None
    """TRAIL LIMIT: how far the limit lies from the stop."""
    time_in_force: str = "DAY"
    good_after: datetime | None = None
    good_till: datetime | None = None
    oca_group: str = ""
    oca_type: int = 3
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    outside_regular_hours: bool = False
    all_or_none: bool = False
    minimum_quantity: Decimal | None = None
    display_size: int | None = None
    discretionary_amount: Decimal = Decimal(0)
    price_cap: Decimal | None = None
    """The limit of a pegged, REL or MIDPRICE order, if it has one."""
    trigger_method: int = 0
    conditions: tuple[Condition, ...] = ()
    conditions_cancel: bool = False
    conditions_outside_regular_hours: bool = False
    algorithm: str = ""
    echo: tuple[tuple[str, str], ...] = ()
    """Every other field of placeOrder that openOrder repeats, by its name on the wire, as it was sent."""

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
    """Sum of quantity times price of the fills, without the multiplier."""
    commission: Decimal = Decimal(0)
    last_fill_price: Decimal = Decimal(0)
    waits_for_parent: bool = False
    """A child of a parent that has filled nothing."""
    active_after: datetime | None = None
    """A child is first compared with a quote later than its parent's last fill."""
    triggered: bool = False
    """A stop, trailing or touched order that has been elected; it then works as a market or a limit order."""
    stop: Decimal | None = None
    """Where a trailing order's stop stands now."""
    working_limit: Decimal | None = None
    """The limit that an order got while it worked: TRAIL LIMIT when elected, MTL when it first fills."""
    conditions_met: bool = False
    located: bool = True
    """False while shares to sell short are being looked for."""
    reduced: Decimal = Decimal(0)
    """What fills of others in its OCA group have taken off its quantity."""
    expires: datetime | None = None
    """When an order that still works is cancelled; None while that is not known."""
    executions_before: int = 0
    """How many executions there were when it was received: its execution conditions look at later ones."""
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
        reasons = {
            "child": self.waits_for_parent,
            "locate": not self.located,
            "trigger": self.request.order_type in TRIGGERED and not self.triggered,
        }
        return ",".join(reason for reason, holds in reasons.items() if holds)

    def copy(self) -> "Order":
        return replace(self)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill; `time` is aware UTC, `realized` is net of commissions and None when nothing was closed.

    A combination's fill is one execution of the combination (with `combo` true, which moves no position) and one of
    each leg (with `leg` true); all bear the combination's order.
    """

    execution_id: str
    order: Order
    account: str
    contract_id: int
    time: datetime
    side: str
    """BOT or SLD."""
    shares: Decimal
    price: Decimal
    venue: str
    commission: Decimal
    realized: Decimal | None
    combo: bool = False
    leg: bool = False
    added_liquidity: bool = False


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """Terms or status of an order are new: TWS sends openOrder and orderStatus."""

    order: Order


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """An order is cancelled: TWS sends orderStatus and then error 202, with `reason` if it was not asked for."""

    order: Order
    reason: str = ""


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


@dataclass(frozen=True, slots=True)
class PositionMoved:
    """A position changed without an order: expiry, assignment, exercise, a split, or an edit by hand."""

    account: str
    contract_id: int


Event: TypeAlias = OrderChanged | OrderCancelled | Executed | Notice | PositionMoved


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


def received(time: datetime, what: str, request: OrderRequest, symbol: str, parent_ref: str) -> ReceivedOrder:
    """Return the log's entry of a command about an order; `stop_price` is the request's auxiliary price."""
    return ReceivedOrder(
        time=time,
        what=what,
        order_ref=request.order_ref,
        symbol=symbol,
        action=request.action,
        quantity=request.quantity,
        order_type=request.order_type,
        limit_price=request.limit_price,
        stop_price=request.aux_price,
        time_in_force=request.time_in_force,
        parent_ref=parent_ref,
    )
