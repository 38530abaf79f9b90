"""Orders as they go to the broker. Only execution writes these commands."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from shared.messages.base import Message
from shared.types import OrderType, Side, TimeInForce

LONGEST_REFERENCE = 40  # characters of an orderRef that IBKR keeps


class PriceEffect(StrEnum):
    """Which way money goes when a combination fills."""

    DEBIT = "debit"
    CREDIT = "credit"


class NetPrice(Message):
    """The limit of a combination: pay at most this debit, or receive at least this credit, per unit of the ratio.

    IBKR writes the same as a signed limit price whose meaning turns with the side; nobody outside the broker adapter
    needs to know: `signed`.
    """

    effect: PriceEffect
    amount: Decimal = Field(ge=0)

    def signed(self, side: Side) -> Decimal:
        """IBKR's limit price: buying, a debit is positive; selling, a credit is."""
        positive = PriceEffect.DEBIT if side is Side.BUY else PriceEffect.CREDIT
        return self.amount if self.effect is positive else -self.amount


class ComboLeg(Message):
    """One leg of a combination; `side` is what happens to it when the combination is bought."""

    symbol: str
    side: Side
    ratio: int = Field(default=1, ge=1, le=100)


class ConditionKind(StrEnum):
    PRICE = "price"
    TIME = "time"
    MARGIN = "margin"
    EXECUTION = "execution"
    VOLUME = "volume"
    PERCENT_CHANGE = "percent_change"


class Condition(Message):
    """One condition of an order. `value` is in USD, percent of margin cushion, shares, or percent of change, by kind.

    `is_more`: at or above the value, or after the time. `and_next`: joined to the next condition by "and", not "or".
    """

    kind: ConditionKind
    symbol: str | None = None
    value: Decimal | None = None
    time: AwareDatetime | None = None
    is_more: bool = True
    and_next: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        about_a_symbol = self.kind not in (ConditionKind.TIME, ConditionKind.MARGIN)
        if about_a_symbol != (self.symbol is not None):
            needs = "needs" if about_a_symbol else "takes no"
            raise ValueError(f"symbol = {self.symbol!r} is not allowed: a condition on {self.kind} {needs} symbol")
        if (self.kind is ConditionKind.TIME) != (self.time is not None):
            raise ValueError(f"time = {self.time} is not allowed: only a condition on time has one, and must")
        valued = self.kind not in (ConditionKind.TIME, ConditionKind.EXECUTION)
        if valued != (self.value is not None):
            needs = "needs a" if valued else "takes no"
            raise ValueError(f"value = {self.value} is not allowed: a condition on {self.kind} {needs} value")
        return self


class Algorithm(Message):
    """One of IBKR's execution algorithms, such as Adaptive with adaptivePriority, by its own names."""

    name: str
    parameters: dict[str, str] = Field(default_factory=dict)


class OcaType(StrEnum):
    """What a fill does to the rest of its group. With block: one order of the group is live at a time."""

    CANCEL_WITH_BLOCK = "cancel_with_block"
    REDUCE_WITH_BLOCK = "reduce_with_block"
    REDUCE = "reduce"


_NEEDS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.LIMIT_ON_CLOSE})
_NEEDS_TRIGGER = frozenset(
    {OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED}
)
_TRAILS = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})


class OrderTerms(Message):
    """One order. Prices in USD per share, quantities in shares, contracts, or units of a combination.

    Args:
        order_ref: our id, written to the broker's orderRef; unique for ever.
        symbol: what is traded; the underlying's ticker where `legs` make a combination.
        net_price: the limit of a combination, in place of `limit_price`.
        trigger_price: of stop and if-touched orders; of trailing ones the first stop.
        trailing_amount, trailing_percent: the distance of a trailing stop; exactly one (1 = one percent).
        limit_offset: of TRAIL LIMIT, from its stop to its limit; of REL and pegged orders, the offset.
        parent: orderRef of the order whose fill makes this one work; it must be sent with it, before it.
        oca_group: orders of one group exclude each other, as `oca_type` says.
        conditions: all must hold before the order works, or is cancelled (`conditions_cancel`).
    """

    order_ref: str = Field(min_length=1, max_length=LONGEST_REFERENCE)
    symbol: str
    side: Side
    quantity: Decimal = Field(gt=0)
    order_type: OrderType
    legs: tuple[ComboLeg, ...] = ()
    limit_price: Decimal | None = None
    net_price: NetPrice | None = None
    trigger_price: Decimal | None = Field(default=None, gt=0)
    trailing_amount: Decimal | None = Field(default=None, gt=0)
    trailing_percent: Decimal | None = Field(default=None, gt=0, lt=100)
    limit_offset: Decimal | None = None
    price_cap: Decimal | None = Field(default=None, gt=0)
    time_in_force: TimeInForce = TimeInForce.DAY
    good_till: AwareDatetime | None = None
    good_after: AwareDatetime | None = None
    outside_regular_hours: bool = False
    all_or_none: bool = False
    hidden: bool = False
    minimum_quantity: Decimal | None = Field(default=None, gt=0)
    display_size: int | None = Field(default=None, gt=0)
    discretionary_amount: Decimal | None = Field(default=None, gt=0)
    parent: str | None = None
    oca_group: str | None = None
    oca_type: OcaType = OcaType.CANCEL_WITH_BLOCK
    conditions: tuple[Condition, ...] = ()
    conditions_cancel: bool = False
    conditions_outside_regular_hours: bool = False
    algorithm: Algorithm | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in _problems(self):
            raise ValueError(f"order {self.order_ref}: {problem}")
        return self


def _problems(order: OrderTerms) -> list[str]:
    """What contradicts itself in an order; each names the field, its value and the remedy."""
    kind, found = order.order_type, list[str]()
    price = order.net_price if order.legs else order.limit_price
    name = "net_price" if order.legs else "limit_price"
    if kind in _NEEDS_LIMIT and price is None:
        found.append(f"{name} is missing; {kind} needs it")
    if order.legs and order.limit_price is not None:
        found.append(f"limit_price = {order.limit_price} is not allowed with legs; use net_price")
    if not order.legs and order.net_price is not None:
        found.append("net_price is not allowed without legs; use limit_price")
    if len(order.legs) == 1:
        found.append("legs has one leg; a combination needs two or more")
    if kind in _NEEDS_TRIGGER and order.trigger_price is None:
        found.append(f"trigger_price is missing; {kind} needs it")
    if (kind in _TRAILS) != ((order.trailing_amount is None) != (order.trailing_percent is None)):
        found.append("give exactly one of trailing_amount and trailing_percent to a trailing order, and none to others")
    if kind is OrderType.TRAILING_STOP_LIMIT and order.limit_offset is None:
        found.append("limit_offset is missing; TRAIL LIMIT needs it")
    if (order.time_in_force is TimeInForce.GTD) != (order.good_till is not None):
        found.append(f"good_till = {order.good_till} does not fit time_in_force = {order.time_in_force}; GTD needs it")
    return found


class SubmitOrder(Message):
    """Orders that are transmitted as one: a single order, a bracket, an OCA group.

    Parents come before their children. A gateway that reads this after `expires_at` sends nothing and reports each
    order EXPIRED.
    """

    orders: tuple[OrderTerms, ...] = Field(min_length=1, max_length=20)
    expires_at: AwareDatetime

    @model_validator(mode="after")
    def _family(self) -> Self:
        seen: set[str] = set()
        for order in self.orders:
            if order.order_ref in seen:
                raise ValueError(f"order_ref {order.order_ref} stands twice; give every order its own")
            if order.parent is not None and order.parent not in seen:
                raise ValueError(f"order {order.order_ref}: parent {order.parent} must come before it")
            seen.add(order.order_ref)
        return self


def bracket(
    *,
    order_id: str,
    symbol: str,
    side: Side,
    quantity: Decimal,
    limit_price: Decimal | None,
    stop_price: Decimal | None,
    target_price: Decimal | None,
    time_in_force: TimeInForce,
    expires_at: datetime,
    legs: tuple[ComboLeg, ...] = (),
    net_price: NetPrice | None = None,
) -> SubmitOrder:
    """A limit entry, with a protective stop and a target where they have prices; these live until one of them fills.

    The entry's orderRef is `order_id`; the children's are `<order_id>.stop` and `<order_id>.target`.
    """
    entry = OrderTerms.trusted(
        order_ref=order_id,
        symbol=symbol,
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        legs=legs,
        limit_price=limit_price,
        net_price=net_price,
        time_in_force=time_in_force,
    )
    orders = (entry,)
    if stop_price is not None:
        orders += (_child(entry, "stop", OrderType.STOP, None, stop_price),)
    if target_price is not None:
        orders += (_child(entry, "target", OrderType.LIMIT, target_price, None),)
    return SubmitOrder.trusted(orders=orders, expires_at=expires_at)


def _child(
    entry: OrderTerms, name: str, order_type: OrderType, limit: Decimal | None, trigger: Decimal | None
) -> OrderTerms:
    return OrderTerms.trusted(
        order_ref=f"{entry.order_ref}.{name}",
        symbol=entry.symbol,
        side=entry.side.opposite,
        quantity=entry.quantity,
        order_type=order_type,
        limit_price=limit,
        trigger_price=trigger,
        time_in_force=TimeInForce.GTC,
        parent=entry.order_ref,
    )


class ModifyOrder(Message):
    """Change a working order: what is given replaces what it has, the rest stays."""

    order_ref: str
    quantity: Decimal | None = Field(default=None, gt=0)
    limit_price: Decimal | None = None
    net_price: NetPrice | None = None
    trigger_price: Decimal | None = Field(default=None, gt=0)
    trailing_amount: Decimal | None = Field(default=None, gt=0)
    trailing_percent: Decimal | None = Field(default=None, gt=0, lt=100)


class CancelOrder(Message):
    """Cancel a working order at the broker; its children go with it."""

    order_ref: str


class CancelAllOrders(Message):
    """Cancel every working order of the account, also those of other clients and those entered by hand."""


class PreviewOrder(Message):
    """Ask what an order would do to the account's margin; nothing is ordered."""

    order: OrderTerms


class RequestSnapshot(Message):
    """Ask for everything the broker knows: orders, executions, positions, account."""
