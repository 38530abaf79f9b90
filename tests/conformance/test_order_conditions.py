"""Conditions, algorithms, and terms that open orders repeat."""

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.harness import Client, World
from tests.conformance.market import AAPL, CLOSE, IBM, MINUTE, TEN_O_CLOCK, future, quote
from tests.conformance.test_order_terms import far_below
from tests.conformance.test_order_types import filled_at


def condition(name: str, world: World) -> tuple[dict[str, Any], datetime]:
    """Return a condition that the rest of the day will meet, and when."""
    coming = future(world, AAPL)
    contract = {"conId": AAPL["conId"], "exch": "SMART"}
    if name == "PriceCondition":
        price = coming.between(0.5, above=True)
        found = {**contract, "isMore": True, "price": float(price), "triggerMethod": 0}
        return {"class": name, **found}, coming.when(price, above=True)
    if name == "VolumeCondition":
        volumes = [int(volume) for volume in coming.tape.volume[coming.first :]]
        index = len(volumes) // 2
        return {"class": name, **contract, "isMore": True, "volume": volumes[index]}, coming.tape.time(
            coming.first + index
        )
    if name == "PercentChangeCondition":
        previous = quote(world, AAPL).previous_close
        price = coming.between(0.5, above=True)
        percent = round(float(price / previous - 1) * 100, 2)
        return {"class": name, **contract, "isMore": True, "changePercent": percent}, coming.when(price, above=True)
    if name == "MarginCondition":
        return {"class": name, "isMore": True, "percent": 10}, TEN_O_CLOCK
    return {"class": name, "isMore": True, "time": "20240603 11:00:00 US/Eastern"}, TEN_O_CLOCK + 60 * MINUTE


@pytest.mark.parametrize("name", ["PriceCondition", "TimeCondition", "VolumeCondition", "PercentChangeCondition"])
def test_conditions(client: Client, world: World, name: str) -> None:
    terms, when = condition(name, world)
    number = client.place(AAPL, "BUY", 100, conditions=[{"conjunction": "a", **terms}])
    client.reaches(number, "PreSubmitted")
    world.advance(when - 2 * MINUTE)
    client.call("time")
    assert client.order(number)["filled"] == 0
    world.advance(CLOSE - MINUTE)
    order = client.reaches(number, "Filled")
    assert abs(filled_at(order) - when) <= 2 * MINUTE


def test_execution_condition(client: Client, world: World) -> None:
    terms = {"class": "ExecutionCondition", "conjunction": "a", "secType": "STK", "exch": "SMART", "symbol": "IBM"}
    number = client.place(AAPL, "BUY", 100, conditions=[terms])
    client.reaches(number, "PreSubmitted")
    client.reaches(client.place(IBM, "BUY", 1), "Filled")
    world.advance(TEN_O_CLOCK + 2 * MINUTE)
    client.reaches(number, "Filled")


def test_one_of_two_conditions_is_enough(client: Client, world: World) -> None:
    early, _ = condition("TimeCondition", world)
    late = {**early, "time": "20240603 15:00:00 US/Eastern"}
    number = client.place(AAPL, "BUY", 100, conditions=[{"conjunction": "o", **early}, {"conjunction": "a", **late}])
    client.reaches(number, "PreSubmitted")
    world.advance(TEN_O_CLOCK + 62 * MINUTE)
    client.reaches(number, "Filled")


def test_a_condition_that_cancels(client: Client, world: World) -> None:
    terms, when = condition("TimeCondition", world)
    number = client.place(
        AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), conditionsCancelOrder=True,
        conditions=[{"conjunction": "a", **terms}],
    )  # fmt: skip
    client.reaches(number, "Submitted")
    world.advance(when + MINUTE)
    client.reaches(number, "Cancelled")


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("Adaptive", [["adaptivePriority", "Normal"]]),
        ("Vwap", [["maxPctVol", "0.2"], ["startTime", "20240603 10:05:00 US/Eastern"]]),
        ("Twap", [["strategyType", "Marketable"]]),
    ],
)
def test_algorithms_are_accepted_and_repeated(
    client: Client, world: World, algorithm: str, parameters: list[list[str]]
) -> None:
    number = client.place(
        AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), algoStrategy=algorithm, algoParams=parameters
    )
    client.reaches(number, "Submitted")
    client.connect(2, session="other")
    (seen,) = client.call("open_orders", "other", every_client=True)
    assert seen["order"]["algoStrategy"] == algorithm
    assert [[tag["tag"], tag["value"]] for tag in seen["order"]["algoParams"]] == parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orderRef", "my reference"),
        ("tif", "GTC"),
        ("outsideRth", True),
        ("hidden", True),
        ("ocaGroup", "my group"),
        ("goodTillDate", "20240605 16:00:00 US/Eastern"),
        ("allOrNone", True),
        ("minQty", 10),
        ("displaySize", 20),
        ("sweepToFill", True),
        ("discretionaryAmt", 0.05),
        ("rule80A", "I"),
        ("clearingIntent", "IB"),
        ("modelCode", ""),
        ("triggerMethod", 2),
        ("goodAfterTime", "20240603 15:00:00 US/Eastern"),
        ("hedgeType", "D"),
        ("scaleInitLevelSize", 10),
        ("usePriceMgmtAlgo", True),
        ("cashQty", 5000.0),
        ("notHeld", True),
        ("blockOrder", True),
        ("percentOffset", 0.5),
    ],
)
def test_open_orders_repeat_what_was_sent(client: Client, world: World, name: str, value: Any) -> None:
    more = {"tif": "GTD"} if name == "goodTillDate" else {}
    number = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), **more, **{name: value})
    client.reaches(number, "PreSubmitted" if name == "goodAfterTime" else "Submitted")
    client.connect(2, session="other")
    (seen,) = client.call("open_orders", "other", every_client=True)
    assert seen["order"][name] == value
    assert (seen["order"]["lmtPrice"], seen["order"]["totalQuantity"]) == (far_below(world), 100)


def test_conditions_are_repeated(client: Client, world: World) -> None:
    terms, _ = condition("PriceCondition", world)
    number = client.place(AAPL, "BUY", 100, conditions=[{"conjunction": "a", **terms}])
    client.reaches(number, "PreSubmitted")
    client.connect(2, session="other")
    (seen,) = client.call("open_orders", "other", every_client=True)
    (found,) = seen["order"]["conditions"]
    assert (found["price"], found["conId"], found["isMore"]) == (terms["price"], AAPL["conId"], True)
