"""Orders as ib_async's, and changes of orders that the broker has echoed.

Source of what each order type needs: https://www.interactivebrokers.com/campus/ibkr-api-page/order-types/.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from ib_async.contract import ComboLeg, Contract, TagValue
from ib_async.order import (
    ExecutionCondition,
    MarginCondition,
    Order,
    OrderCondition,
    PercentChangeCondition,
    PriceCondition,
    TimeCondition,
    VolumeCondition,
)
from ib_async.util import UNSET_DOUBLE, UNSET_INTEGER

from services.gateway.adapters.tws.convert import decimal_or_none, written
from services.gateway.adapters.tws.names import COMBINATION, SMART
from services.gateway.ports import RequestRefused
from shared.messages.broker_commands import Condition, ConditionKind, ModifyOrder, OcaType, OrderTerms
from shared.types import OrderType, Side

COMPETES = "IBKRATS"
"""IBKR's own alternative trading system, the only place for PEG BEST."""
_OCA_TYPES = MappingProxyType({OcaType.CANCEL_WITH_BLOCK: 1, OcaType.REDUCE_WITH_BLOCK: 2, OcaType.REDUCE: 3})
_LIMIT, _OFFSET = "lmtPrice", "auxPrice"
_TRAIL = (_OFFSET, "trailingPercent", "trailStopPrice")
_PRICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        OrderType.MARKET: (),
        OrderType.LIMIT: (_LIMIT,),
        OrderType.STOP: (_OFFSET,),
        OrderType.STOP_LIMIT: (_LIMIT, _OFFSET),
        OrderType.TRAILING_STOP: _TRAIL,
        OrderType.TRAILING_STOP_LIMIT: (*_TRAIL, "lmtPriceOffset"),
        OrderType.MARKET_IF_TOUCHED: (_OFFSET,),
        OrderType.LIMIT_IF_TOUCHED: (_LIMIT, _OFFSET),
        OrderType.MARKET_TO_LIMIT: (),
        OrderType.MARKET_ON_CLOSE: (),
        OrderType.LIMIT_ON_CLOSE: (_LIMIT,),
        OrderType.RELATIVE: (_LIMIT, _OFFSET),
        OrderType.PEGGED_TO_MARKET: (_LIMIT, _OFFSET),
        OrderType.PEGGED_TO_MIDPOINT: (_LIMIT, _OFFSET),
        OrderType.PEGGED_TO_BEST: (_LIMIT, "competeAgainstBestOffset", "midOffsetAtWhole", "midOffsetAtHalf"),
        OrderType.MIDPRICE: (_LIMIT,),
    }
)
"""The prices of each order type. A real gateway also echoes others: a trailing stop on a plain limit order, 0.0."""
_PEGGED = frozenset({OrderType.RELATIVE, OrderType.PEGGED_TO_MARKET, OrderType.PEGGED_TO_MIDPOINT})
_CAPPED = _PEGGED | {OrderType.PEGGED_TO_BEST, OrderType.MIDPRICE}
"""Their limit price is a cap, which need not be there; the broker echoes none as 0."""
_TRAILING = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})
_KEPT = (
    "orderId", "orderRef", "account", "action", "totalQuantity", "orderType", "tif", "parentId", "ocaGroup", "ocaType",
    "outsideRth", "hidden", "allOrNone", "minQty", "displaySize", "discretionaryAmt", "goodAfterTime", "goodTillDate",
    "triggerMethod", "algoStrategy", "algoParams", "smartComboRoutingParams", "conditions", "conditionsIgnoreRth",
    "conditionsCancelOrder", "notHeld",
)  # fmt: skip


def symbols_of(orders: Iterable[OrderTerms]) -> list[str]:
    """Every instrument that must be known before these orders can be written."""
    wanted: dict[str, None] = {}
    for order in orders:
        wanted |= dict.fromkeys([leg.symbol for leg in order.legs] or [order.symbol])
        wanted |= dict.fromkeys(condition.symbol for condition in order.conditions if condition.symbol)
    return list(wanted)


def contract_of(order: OrderTerms, contracts: Mapping[str, Contract]) -> Contract:
    """The contract that an order names; `contracts` are the broker's, by symbol.

    A combination is guaranteed unless its routing parameters say otherwise, and ours have none
    (https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/#spread-contracts). It goes where its legs are
    listed if that is one exchange, as futures spreads must, else to SMART.
    """
    if not order.legs:
        found = contracts[order.symbol]
        if order.order_type is not OrderType.PEGGED_TO_BEST:
            return found
        return Contract(conId=found.conId, symbol=found.symbol, secType=found.secType, currency=found.currency,
                        exchange=COMPETES)  # fmt: skip
    legs = [contracts[leg.symbol] for leg in order.legs]
    exchanges = {leg.exchange for leg in legs}
    exchange = exchanges.pop() if len(exchanges) == 1 else SMART
    return Contract(
        symbol=order.symbol,
        secType=COMBINATION,
        currency=legs[0].currency,
        exchange=exchange,
        comboLegs=[
            ComboLeg(conId=found.conId, ratio=leg.ratio, action=leg.side.value, exchange=found.exchange)
            for leg, found in zip(order.legs, legs, strict=True)
        ],
    )


def family(
    orders: Sequence[OrderTerms], ids: Mapping[str, int], account: str, contracts: Mapping[str, Contract]
) -> list[Order]:
    """Orders that are sent together. Of a parent and its children, only the last one transmits them all."""
    roots: dict[str, str] = {}
    for terms in orders:
        roots[terms.order_ref] = roots[terms.parent] if terms.parent else terms.order_ref
    last = {roots[terms.order_ref]: terms.order_ref for terms in orders}
    made: list[Order] = []
    for terms in orders:
        order = order_of(terms, ids[terms.order_ref], account, contracts)
        order.parentId = ids[terms.parent] if terms.parent else 0
        order.transmit = last[roots[terms.order_ref]] == terms.order_ref
        made.append(order)
    return made


def order_of(terms: OrderTerms, order_id: int, account: str, contracts: Mapping[str, Contract]) -> Order:
    """One order by itself, to be transmitted at once."""
    order = Order(
        orderId=order_id,
        orderRef=terms.order_ref,
        account=account,
        action=terms.side.value,
        totalQuantity=written(terms.quantity),  # type: ignore[arg-type]
        orderType=terms.order_type.value,
        tif=terms.time_in_force.value,
        goodTillDate=_moment(terms.good_till),
        goodAfterTime=_moment(terms.good_after),
        outsideRth=terms.outside_regular_hours,
        allOrNone=terms.all_or_none,
        hidden=terms.hidden,
        displaySize=terms.display_size or 0,
        conditions=[_condition(condition, contracts) for condition in terms.conditions],
        conditionsCancelOrder=terms.conditions_cancel,
        conditionsIgnoreRth=terms.conditions_outside_regular_hours,
    )
    if terms.minimum_quantity is not None:
        order.minQty = _whole("minimum_quantity", terms.minimum_quantity)
    if terms.discretionary_amount is not None:
        order.discretionaryAmt = written(terms.discretionary_amount)  # type: ignore[assignment]
    if terms.oca_group is not None:
        order.ocaGroup, order.ocaType = terms.oca_group, _OCA_TYPES[terms.oca_type]
    if terms.algorithm is not None:
        order.algoStrategy = terms.algorithm.name
        order.algoParams = [TagValue(tag, value) for tag, value in terms.algorithm.parameters.items()]
    _set_prices(order, terms)
    return order


def _set_prices(order: Order, terms: OrderTerms) -> None:
    kind = terms.order_type
    limit = terms.net_price.signed(terms.side) if terms.net_price is not None else terms.limit_price
    if kind in _CAPPED:
        limit = limit if terms.price_cap is None else terms.price_cap
    if limit is not None and _LIMIT in _PRICES[kind]:
        order.lmtPrice = written(limit)
    if kind in _TRAILING:
        _set_trail(order, terms)
    elif kind in _PEGGED:
        order.auxPrice = written(terms.limit_offset or Decimal(0))
    elif kind is OrderType.PEGGED_TO_BEST:
        order.notHeld = True  # IBKR's own example has it
        if terms.limit_offset is None:  # compete up to the midpoint
            order.competeAgainstBestOffset, order.midOffsetAtWhole, order.midOffsetAtHalf = math.inf, 0.0, 0.0
        else:
            order.competeAgainstBestOffset = written(terms.limit_offset)
    elif terms.trigger_price is not None:
        order.auxPrice = written(terms.trigger_price)


def _set_trail(order: Order, terms: OrderTerms) -> None:
    if terms.trailing_percent is not None:
        order.trailingPercent = written(terms.trailing_percent)
    elif terms.trailing_amount is not None:
        order.auxPrice = written(terms.trailing_amount)
    if terms.trigger_price is not None:
        order.trailStopPrice = written(terms.trigger_price)
    if terms.limit_offset is not None:
        order.lmtPriceOffset = written(terms.limit_offset)


def _condition(condition: Condition, contracts: Mapping[str, Contract]) -> OrderCondition:
    joined, is_more = "a" if condition.and_next else "o", condition.is_more
    contract = contracts[condition.symbol] if condition.symbol else Contract()
    value = written(condition.value or Decimal(0))
    match condition.kind:
        case ConditionKind.PRICE:
            return PriceCondition(1, joined, is_more, value, contract.conId, contract.exchange)  # type: ignore[arg-type]
        case ConditionKind.TIME:
            return TimeCondition(3, joined, is_more, _moment(condition.time))
        case ConditionKind.MARGIN:
            return MarginCondition(4, joined, is_more, _whole("conditions.value", value))
        case ConditionKind.EXECUTION:
            return ExecutionCondition(5, joined, contract.secType, contract.exchange, contract.symbol)
        case ConditionKind.VOLUME:
            return VolumeCondition(
                6, joined, is_more, _whole("conditions.value", value), contract.conId, contract.exchange
            )
        case ConditionKind.PERCENT_CHANGE:
            return PercentChangeCondition(7, joined, is_more, value, contract.conId, contract.exchange)  # type: ignore[arg-type]


def _moment(time: datetime | None) -> str:
    """IBKR's form for a time in UTC (its error 10330 gives it)."""
    return "" if time is None else f"{time.astimezone(UTC):%Y%m%d-%H:%M:%S}"


def _whole(name: str, value: Decimal) -> int:
    if value != int(value):
        raise RequestRefused(f"{name} = {value} is not allowed: IBKR takes a whole number")
    return int(value)


# Changes


def changed(echo: Order, change: ModifyOrder, *, combination: bool) -> Order:
    """The order that the broker has echoed, with what is changed of it.

    Only what our orders carry is sent again: an order that the broker has echoed is full of values such as `None`,
    `?` and unset doubles, some of which mean something else when they come back.

    Raises:
        RequestRefused: the change does not fit the order's type.
    """
    if echo.orderType not in _PRICES:
        raise RequestRefused(f"order {change.order_ref} is of type {echo.orderType}, which is not ours to change")
    kind = OrderType(echo.orderType)
    order = Order()
    for name in (*_KEPT, *_PRICES[kind]):
        value = getattr(echo, name)
        if _is_told(value):
            number = decimal_or_none(value) if isinstance(value, float) else None
            setattr(order, name, value if number is None else written(number))
    if kind in _CAPPED and not echo.lmtPrice:
        order.lmtPrice = UNSET_DOUBLE
    if kind in _TRAILING and _is_told(echo.trailingPercent) and echo.trailingPercent:
        order.auxPrice = UNSET_DOUBLE
    elif kind in _TRAILING:
        order.trailingPercent = UNSET_DOUBLE
    _apply(order, kind, change, combination=combination)
    return order


def _apply(order: Order, kind: OrderType, change: ModifyOrder, *, combination: bool) -> None:
    _refuse_what_does_not_fit(kind, change, combination=combination)
    if change.quantity is not None:
        order.totalQuantity = written(change.quantity)  # type: ignore[assignment]
    limit = change.limit_price if change.net_price is None else change.net_price.signed(Side(order.action))
    if limit is not None:
        order.lmtPrice = written(limit)
    if change.trigger_price is not None:
        setattr(order, "trailStopPrice" if kind in _TRAILING else _OFFSET, written(change.trigger_price))
    if change.trailing_amount is not None:
        order.auxPrice, order.trailingPercent = written(change.trailing_amount), UNSET_DOUBLE
    if change.trailing_percent is not None:
        order.auxPrice, order.trailingPercent = UNSET_DOUBLE, written(change.trailing_percent)


def _refuse_what_does_not_fit(kind: OrderType, change: ModifyOrder, *, combination: bool) -> None:
    fitting = {"quantity"}
    if _LIMIT in _PRICES[kind]:
        fitting.add("net_price" if combination else "limit_price")
    if kind in _TRAILING:
        fitting |= {"trigger_price", "trailing_amount", "trailing_percent"}
    elif _OFFSET in _PRICES[kind] and kind not in _PEGGED:
        fitting.add("trigger_price")
    given = {name for name in ModifyOrder.model_fields if name != "order_ref" and getattr(change, name) is not None}
    if wrong := sorted(given - fitting):
        what = f"combination {kind}" if combination else kind
        raise RequestRefused(f"{wrong[0]} can't be changed of a {what} order; it has {', '.join(sorted(fitting))}")


def _is_told(value: object) -> bool:
    """Whether the broker said something by it."""
    return value not in (None, "", "None", "?", UNSET_DOUBLE, UNSET_INTEGER)
