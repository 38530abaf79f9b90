import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ib_async.contract import ComboLeg as TwsLeg
from ib_async.contract import Contract
from ib_async.order import Order
from ib_async.util import UNSET_DOUBLE, UNSET_INTEGER

from services.gateway.adapters.tws import terms
from services.gateway.ports import RequestRefused
from shared.messages.broker_commands import (
    Algorithm,
    ComboLeg,
    Condition,
    ConditionKind,
    ModifyOrder,
    NetPrice,
    OcaType,
    OrderTerms,
    PriceEffect,
    bracket,
)
from shared.types import OrderType, Side, TimeInForce

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
CONTRACTS = {
    "IBM": Contract(conId=8314, symbol="IBM", secType="STK", exchange="SMART", currency="USD"),
    "^SPX": Contract(conId=416904, symbol="SPX", secType="IND", exchange="CBOE", currency="USD"),
    "/ESZ6": Contract(conId=1, symbol="ES", secType="FUT", exchange="CME", currency="USD"),
    "/ESH7": Contract(conId=2, symbol="ES", secType="FUT", exchange="CME", currency="USD"),
}


def made(kind: OrderType, **rest: Any) -> Order:
    given = {"order_ref": "a", "symbol": "IBM", "side": Side.BUY, "quantity": Decimal("1E+2"), **rest}
    return terms.order_of(OrderTerms.model_validate({**given, "order_type": kind}), 4, "DU1", CONTRACTS)


def prices(order: Order) -> dict[str, Any]:
    """Every price that was set."""
    names = ("lmtPrice", "auxPrice", "trailStopPrice", "trailingPercent", "lmtPriceOffset", "percentOffset",
             "competeAgainstBestOffset", "midOffsetAtWhole", "midOffsetAtHalf", "triggerPrice")  # fmt: skip
    return {name: getattr(order, name) for name in names if getattr(order, name) != UNSET_DOUBLE}


ONE, TWO, CENT = Decimal(1), Decimal(2), Decimal("0.01")


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (OrderType.MARKET, {}, {}),
        (OrderType.LIMIT, {"limit_price": ONE}, {"lmtPrice": ONE}),
        (OrderType.STOP, {"trigger_price": TWO}, {"auxPrice": TWO}),
        (OrderType.STOP_LIMIT, {"trigger_price": TWO, "limit_price": ONE}, {"lmtPrice": ONE, "auxPrice": TWO}),
        (
            OrderType.TRAILING_STOP,
            {"trailing_amount": ONE, "trigger_price": TWO},
            {"auxPrice": ONE, "trailStopPrice": TWO},
        ),
        (OrderType.TRAILING_STOP, {"trailing_percent": ONE}, {"trailingPercent": ONE}),
        (
            OrderType.TRAILING_STOP_LIMIT,
            {"trailing_amount": ONE, "trigger_price": TWO, "limit_offset": CENT},
            {"auxPrice": ONE, "trailStopPrice": TWO, "lmtPriceOffset": CENT},
        ),
        (OrderType.MARKET_IF_TOUCHED, {"trigger_price": TWO}, {"auxPrice": TWO}),
        (OrderType.LIMIT_IF_TOUCHED, {"trigger_price": TWO, "limit_price": ONE}, {"lmtPrice": ONE, "auxPrice": TWO}),
        (OrderType.MARKET_TO_LIMIT, {}, {}),
        (OrderType.MARKET_ON_CLOSE, {}, {}),
        (OrderType.LIMIT_ON_CLOSE, {"limit_price": ONE}, {"lmtPrice": ONE}),
        (OrderType.RELATIVE, {"limit_offset": CENT, "price_cap": ONE}, {"lmtPrice": ONE, "auxPrice": CENT}),
        (OrderType.RELATIVE, {}, {"auxPrice": 0}),
        (OrderType.PEGGED_TO_MARKET, {"limit_offset": CENT}, {"auxPrice": CENT}),
        (OrderType.PEGGED_TO_MIDPOINT, {"limit_offset": CENT}, {"auxPrice": CENT}),
        (OrderType.PEGGED_TO_BEST, {"limit_offset": CENT}, {"competeAgainstBestOffset": CENT}),
        (
            OrderType.PEGGED_TO_BEST,
            {"price_cap": ONE},
            {"lmtPrice": ONE, "competeAgainstBestOffset": math.inf, "midOffsetAtWhole": 0, "midOffsetAtHalf": 0},
        ),
        (OrderType.MIDPRICE, {"price_cap": ONE}, {"lmtPrice": ONE}),
    ],
)
def test_prices_of_each_type(kind: OrderType, given: dict[str, Decimal], expected: dict[str, Any]) -> None:
    order = made(kind, **given)
    assert prices(order) == expected
    assert (order.orderType, order.action, str(order.totalQuantity)) == (kind.value, "BUY", "100")


def test_attributes() -> None:
    order = made(
        OrderType.LIMIT,
        limit_price=Decimal("1E+1"),
        time_in_force=TimeInForce.GTD,
        good_till=NOW,
        good_after=NOW,
        outside_regular_hours=True,
        all_or_none=True,
        hidden=True,
        minimum_quantity=Decimal(10),
        display_size=20,
        discretionary_amount=CENT,
        oca_group="g",
        oca_type=OcaType.REDUCE_WITH_BLOCK,
        algorithm=Algorithm(name="Adaptive", parameters={"adaptivePriority": "Urgent"}),
    )
    assert (str(order.lmtPrice), order.tif, order.transmit) == ("10", "GTD", True)
    assert (order.goodTillDate, order.goodAfterTime) == ("20261120-15:30:00", "20261120-15:30:00")
    assert (order.outsideRth, order.allOrNone, order.hidden) == (True, True, True)
    assert (order.minQty, order.displaySize, order.discretionaryAmt) == (10, 20, CENT)
    assert (order.ocaGroup, order.ocaType) == ("g", 2)
    assert [(one.tag, one.value) for one in order.algoParams] == [("adaptivePriority", "Urgent")]


def test_conditions() -> None:
    wanted = (
        Condition(kind=ConditionKind.PRICE, symbol="^SPX", value=TWO, is_more=False, and_next=False),
        Condition(kind=ConditionKind.TIME, time=NOW),
        Condition(kind=ConditionKind.MARGIN, value=Decimal(30)),
        Condition(kind=ConditionKind.EXECUTION, symbol="IBM"),
        Condition(kind=ConditionKind.VOLUME, symbol="IBM", value=Decimal(500)),
        Condition(kind=ConditionKind.PERCENT_CHANGE, symbol="IBM", value=Decimal("2.5")),
    )
    order = made(OrderType.LIMIT, limit_price=ONE, conditions=wanted, conditions_cancel=True)
    assert [tuple(vars(one).values()) for one in order.conditions] == [
        (1, "o", False, TWO, 416904, "CBOE", 0),
        (3, "a", True, "20261120-15:30:00"),
        (4, "a", True, 30),
        (5, "a", "STK", "SMART", "IBM"),
        (6, "a", True, 500, 8314, "SMART"),
        (7, "a", True, Decimal("2.5"), 8314, "SMART"),
    ]
    assert (order.conditionsCancelOrder, order.conditionsIgnoreRth) == (True, False)
    with pytest.raises(RequestRefused, match=r"conditions\.value = 1\.5 is not allowed"):
        made(OrderType.MARKET, conditions=(Condition(kind=ConditionKind.MARGIN, value=Decimal("1.5")),))


def test_families_are_transmitted_by_their_last_member() -> None:
    first = bracket(
        order_id="a",
        symbol="IBM",
        side=Side.SELL,
        quantity=Decimal(100),
        limit_price=Decimal("10.50"),
        stop_price=Decimal(11),
        target_price=Decimal(9),
        time_in_force=TimeInForce.DAY,
        expires_at=NOW,
    ).orders
    alone = first[0].model_copy(update={"order_ref": "b"})
    grandchild = first[1].model_copy(update={"order_ref": "c", "parent": "a.stop"})
    orders = (*first, alone, grandchild)
    legs = terms.family(orders, {one.order_ref: n for n, one in enumerate(orders, 4)}, "DU1", CONTRACTS)
    assert [leg.orderRef for leg in legs] == ["a", "a.stop", "a.target", "b", "c"]
    assert [leg.transmit for leg in legs] == [False, False, False, True, True]
    assert [leg.parentId for leg in legs] == [0, 4, 4, 0, 5]
    assert [leg.action for leg in legs] == ["SELL", "BUY", "BUY", "SELL", "BUY"]


def combination(*symbols: str) -> OrderTerms:
    legs = tuple(ComboLeg(symbol=symbol, side=Side.SELL, ratio=n) for n, symbol in enumerate(symbols, 1))
    return OrderTerms(
        order_ref="a",
        symbol="ES",
        side=Side.SELL,
        quantity=ONE,
        order_type=OrderType.LIMIT,
        legs=legs,
        net_price=NetPrice(effect=PriceEffect.DEBIT, amount=TWO),
    )


def test_a_combination() -> None:
    contract = terms.contract_of(combination("/ESZ6", "/ESH7"), CONTRACTS)
    assert (contract.secType, contract.symbol, contract.exchange, contract.currency) == ("BAG", "ES", "CME", "USD")
    assert contract.comboLegs == [
        TwsLeg(conId=1, ratio=1, action="SELL", exchange="CME"),
        TwsLeg(conId=2, ratio=2, action="SELL", exchange="CME"),
    ]
    assert terms.contract_of(combination("/ESZ6", "IBM"), CONTRACTS).exchange == "SMART"
    assert terms.order_of(combination("/ESZ6", "IBM"), 4, "DU1", CONTRACTS).lmtPrice == -2
    assert terms.symbols_of([combination("/ESZ6", "IBM")]) == ["/ESZ6", "IBM"]


def test_pegged_to_best_goes_to_the_one_place_that_has_it() -> None:
    order = OrderTerms(order_ref="a", symbol="IBM", side=Side.BUY, quantity=ONE, order_type=OrderType.PEGGED_TO_BEST)
    assert terms.contract_of(order, CONTRACTS).exchange == "IBKRATS"
    assert CONTRACTS["IBM"].exchange == "SMART"


# Changes


def echo(kind: OrderType = OrderType.LIMIT, **told: Any) -> Order:
    """What a real gateway sends back of an order."""
    junk: dict[str, Any] = {
        "deltaNeutralOrderType": "None",
        "deltaNeutralOpenClose": "?",
        "adjustedOrderType": "None",
        "clearingIntent": "IB",
        "displaySize": UNSET_INTEGER,
        "minQty": UNSET_INTEGER,
        "trailStopPrice": 11.0,
        "volatilityType": 0,
        "referencePriceType": 0,
        "lmtPrice": 0.0,
        "auxPrice": 0.0,
        "dontUseAutoPriceForHedge": True,
        "permId": 900,
        "clientId": 1,
    }
    ours: dict[str, Any] = {
        "orderId": 4,
        "action": "BUY",
        "totalQuantity": 100.0,
        "tif": "GTC",
        "orderRef": "a",
        "parentId": 3,
    }
    return Order(**{**junk, **ours, "orderType": kind.value, "account": "DU1", **told})


def test_a_change_sends_nothing_that_we_did_not_set() -> None:
    changed = terms.changed(echo(lmtPrice=10.0), ModifyOrder(order_ref="a", limit_price=Decimal("12.5")),
                            combination=False)  # fmt: skip
    wanted = Order(orderId=4, action="BUY", totalQuantity=Decimal(100), tif="GTC", orderRef="a", parentId=3,
                   orderType="LMT", account="DU1", lmtPrice=Decimal("12.5"), discretionaryAmt=Decimal(0))  # fmt: skip  # type: ignore[arg-type]
    assert vars(changed) == vars(wanted)


@pytest.mark.parametrize(
    ("kind", "told", "change", "expected"),
    [
        (OrderType.STOP, {"auxPrice": 9.0}, {"trigger_price": TWO}, {"auxPrice": TWO}),
        (OrderType.MARKET, {}, {"quantity": TWO}, {}),
        (
            OrderType.TRAILING_STOP,
            {"trailingPercent": 5.0},
            {"quantity": TWO},
            {"trailingPercent": Decimal(5), "trailStopPrice": Decimal(11)},
        ),
        (
            OrderType.TRAILING_STOP,
            {"trailingPercent": 5.0},
            {"trailing_amount": ONE},
            {"auxPrice": ONE, "trailStopPrice": Decimal(11)},
        ),
        (
            OrderType.TRAILING_STOP,
            {"auxPrice": 5.0},
            {"trailing_percent": ONE, "trigger_price": TWO},
            {"trailingPercent": ONE, "trailStopPrice": TWO},
        ),
        (OrderType.RELATIVE, {"auxPrice": 0.01}, {"quantity": TWO}, {"auxPrice": CENT}),
        (
            OrderType.RELATIVE,
            {"auxPrice": 0.01, "lmtPrice": 9.0},
            {"limit_price": TWO},
            {"auxPrice": CENT, "lmtPrice": 2},
        ),
        (
            OrderType.PEGGED_TO_BEST,
            {"competeAgainstBestOffset": math.inf, "midOffsetAtWhole": 0.0, "midOffsetAtHalf": 0.0},
            {"quantity": TWO},
            {"competeAgainstBestOffset": math.inf, "midOffsetAtWhole": 0, "midOffsetAtHalf": 0},
        ),
    ],
)
def test_prices_of_a_change(
    kind: OrderType, told: dict[str, float], change: dict[str, Decimal], expected: dict[str, Any]
) -> None:
    changed = terms.changed(echo(kind, **told), ModifyOrder(order_ref="a", **change), combination=False)  # type: ignore[arg-type]
    assert prices(changed) == expected


def test_the_limit_of_a_combination_is_a_net_price() -> None:
    change = ModifyOrder(order_ref="a", net_price=NetPrice(effect=PriceEffect.CREDIT, amount=TWO))
    assert terms.changed(echo(lmtPrice=1.0), change, combination=True).lmtPrice == -2
    with pytest.raises(RequestRefused, match="net_price can't be changed of a LMT order; it has limit_price, quantity"):
        terms.changed(echo(lmtPrice=1.0), change, combination=False)


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        (OrderType.MARKET, {"limit_price": ONE}, "limit_price can't be changed of a MKT order; it has quantity"),
        (OrderType.STOP, {"trailing_amount": ONE}, "trailing_amount can't be changed of a STP order"),
        (OrderType.RELATIVE, {"trigger_price": ONE}, "trigger_price can't be changed of a REL order"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(kind: OrderType, change: dict[str, Decimal], text: str) -> None:
    with pytest.raises(RequestRefused, match=text):
        terms.changed(echo(kind), ModifyOrder(order_ref="a", **change), combination=False)  # type: ignore[arg-type]


def test_an_order_of_a_type_that_is_not_ours_is_left_alone() -> None:
    exercise = echo()
    exercise.orderType = "EXERCISE"
    with pytest.raises(RequestRefused, match="EXERCISE, which is not ours"):
        terms.changed(exercise, ModifyOrder(order_ref="a", quantity=ONE), combination=False)
