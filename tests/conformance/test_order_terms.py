"""Times in force, changes, refusals, conditions, algorithms, and what an order would do."""

from typing import Any

import pytest

from tests.conformance.harness import Client, World, until
from tests.conformance.market import (
    AAPL,
    CLOSE,
    DAY,
    IBM,
    MINUTE,
    OPEN,
    SPX,
    TEN_O_CLOCK,
    cents,
    option,
    qualified,
    quote,
)
from tests.conformance.test_order_types import complete, filled_at


def far_below(world: World) -> float:
    return cents(float(quote(world, AAPL).last) * 0.8)


def test_day_order_ends_with_the_day(client: Client, world: World) -> None:
    number = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world))
    client.reaches(number, "Submitted")
    world.advance(CLOSE + MINUTE)
    client.reaches(number, "Cancelled")
    assert client.code(202).startswith("Order Canceled - reason:")


def test_good_till_cancelled_goes_on(client: Client, world: World) -> None:
    number = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), tif="GTC")
    client.reaches(number, "Submitted")
    world.advance(OPEN + DAY + MINUTE)
    client.call("time")
    assert client.order(number)["status"] in ("Submitted", "PreSubmitted")
    assert world.run(lambda: len(list(world.engine.book.live()))) == 1


def test_good_till_a_time(client: Client, world: World) -> None:
    number = client.place(
        AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), tif="GTD", goodTillDate="20240603 11:00:00 US/Eastern"
    )
    client.reaches(number, "Submitted")
    world.advance(TEN_O_CLOCK + 59 * MINUTE)
    client.call("time")
    assert client.order(number)["status"] == "Submitted"
    world.advance(TEN_O_CLOCK + 61 * MINUTE)
    client.reaches(number, "Cancelled")


def test_good_after_a_time(client: Client, world: World) -> None:
    number = client.place(AAPL, "BUY", 100, goodAfterTime="20240603 11:00:00 US/Eastern")
    client.reaches(number, "PreSubmitted")
    world.advance(TEN_O_CLOCK + 59 * MINUTE)
    client.call("time")
    assert client.order(number)["filled"] == 0
    world.advance(TEN_O_CLOCK + 61 * MINUTE)
    assert filled_at(client.reaches(number, "Filled")) == TEN_O_CLOCK + 60 * MINUTE


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_immediate_or_not_at_all(client: Client, world: World, tif: str) -> None:
    now = quote(world, AAPL)
    order = client.reaches(client.place(AAPL, "BUY", 10, "LMT", lmtPrice=cents(now.ask), tif=tif), "Filled")
    complete(order, 10)
    number = client.place(AAPL, "BUY", 10, "LMT", lmtPrice=far_below(world), tif=tif)
    order = until(lambda: client.order(number), lambda order: order["status"] in ("Cancelled", "Inactive"))
    assert order["filled"] == 0


def test_immediate_fills_in_part(client: Client, world: World) -> None:
    now = quote(world, AAPL)
    quantity = int(now.ask_size) + 1000
    number = client.place(AAPL, "BUY", quantity, "LMT", lmtPrice=cents(now.ask), tif="IOC")
    order = client.reaches(number, "Cancelled")
    assert order["filled"] == now.ask_size
    assert sum(fill["shares"] for fill in order["fills"]) == now.ask_size


def test_fill_or_kill_does_not_fill_in_part(client: Client, world: World) -> None:
    now = quote(world, AAPL)
    number = client.place(AAPL, "BUY", int(now.ask_size) + 1000, "LMT", lmtPrice=cents(now.ask), tif="FOK")
    order = until(lambda: client.order(number), lambda order: order["status"] in ("Cancelled", "Inactive"))
    assert order["filled"] == 0


def test_partial_fills(client: Client, world: World) -> None:
    now = quote(world, AAPL)
    quantity = int(now.ask_size) + 300
    number = client.place(AAPL, "BUY", quantity, "LMT", lmtPrice=cents(now.ask))
    order = until(lambda: client.order(number), lambda order: 0 < order["filled"] < quantity)
    assert order["status"] == "Submitted"
    assert order["filled"] + order["remaining"] == quantity
    first = until(lambda: client.order(number)["fills"][0]["commission"])
    assert first == pytest.approx(max(1, 0.005 * order["filled"]), abs=0.01)
    client.call("cancel", number=number)
    assert client.reaches(number, "Cancelled")["filled"] == order["filled"]


def test_order_outside_hours_waits_and_says_so(client: Client, world: World) -> None:
    world.advance(CLOSE + 60 * MINUTE)
    number = client.place(AAPL, "BUY", 100)
    assert client.reaches(number, "PreSubmitted")["filled"] == 0
    assert "will not be placed at the exchange until 2024-06-04 09:30:00 US/Eastern" in client.code(399)
    world.advance(OPEN + DAY)
    assert filled_at(client.reaches(number, "Filled")) == OPEN + DAY


@pytest.mark.parametrize(
    ("kind", "before", "changes"),
    [
        ("LMT", {"lmtPrice": -10.0}, {"lmtPrice": -11.0}),
        ("LMT", {"lmtPrice": -10.0}, {"totalQuantity": 150}),
        ("STP", {"auxPrice": 10.0}, {"auxPrice": 12.0}),
        ("STP LMT", {"auxPrice": 10.0, "lmtPrice": 11.0}, {"lmtPrice": 13.0}),
        ("TRAIL", {"auxPrice": 20.0}, {"auxPrice": 25.0}),
        ("LMT", {"lmtPrice": -10.0}, {"tif": "GTC"}),
    ],
    ids=["limit", "quantity", "stop", "stop-limit", "trail", "tif"],
)
def test_modify(client: Client, world: World, kind: str, before: dict[str, Any], changes: dict[str, Any]) -> None:
    now = cents(quote(world, AAPL).last)

    def absolute(values: dict[str, Any]) -> dict[str, Any]:
        relative = kind != "TRAIL"
        return {
            name: cents(now + value) if relative and name.endswith("Price") else value for name, value in values.items()
        }

    number = client.place(AAPL, "BUY", 100, kind, **absolute(before))
    status = "Submitted" if kind == "LMT" else "PreSubmitted"
    client.reaches(number, status)
    permanent = client.order(number)["permId"]
    client.call("modify", number=number, changes=absolute(changes))
    wanted = {
        "lmtPrice": "limit_price", "auxPrice": "aux_price", "totalQuantity": "quantity", "tif": "time_in_force"
    }  # fmt: skip
    ((name, value),) = absolute(changes).items()
    kept = until(
        lambda: world.run(lambda: getattr(world.engine.book.live()[0].request, wanted[name])),
        lambda kept: kept == value if isinstance(value, str) else float(kept) == value,
    )
    assert kept is not None
    client.reaches(number, status)
    assert client.order(number)["permId"] == permanent
    (seen,) = client.call("open_orders")
    assert seen["order"][name] == value


def test_modify_into_a_fill(client: Client, world: World) -> None:
    number = client.place(AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world))
    client.reaches(number, "Submitted")
    client.call("modify", number=number, changes={"lmtPrice": cents(quote(world, AAPL).ask)})
    complete(client.reaches(number, "Filled"))


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"kind": "LMT", "lmtPrice": 100.001}, 110),
        ({"quantity": 10_000_000}, 201),
        ({"quantity": 0}, 434),
        ({"kind": "LMT", "lmtPrice": 0.0}, 321),
        ({"kind": "NONSENSE"}, 387),
        ({"account": "DU9"}, 321),
        ({"parentId": 7777}, 135),
        ({"contract": SPX}, 201),
        ({"contract": {**AAPL, "conId": 4711}}, 200),
    ],
    ids=["tick", "margin", "zero", "price", "type", "account", "parent", "index", "contract"],
)
def test_refused(client: Client, world: World, order: dict[str, Any], code: int) -> None:
    terms = {"contract": AAPL, "action": "BUY", "quantity": 100, **order}
    number = client.place(**terms)
    until(lambda: client.call("errors"), lambda errors: [number, code] in [error[:2] for error in errors])
    assert world.run(lambda: list(world.engine.book.live())) == []
    assert world.engine.executions == []


def test_more_sold_than_can_be_borrowed_or_paid_for(client: Client, world: World) -> None:
    number = client.place(AAPL, "SELL", 1_000_000)
    until(lambda: client.call("errors"), lambda errors: [number, 201] in [error[:2] for error in errors])
    order = client.reaches(number, "Inactive")
    assert order["filled"] == 0


def test_cancel_of_what_is_not_there(client: Client) -> None:
    client.call("cancel", number=999)
    assert client.code(10147) == "OrderId 999 that needs to be cancelled is not found."


def test_cancel_of_what_is_done(client: Client) -> None:
    number = client.place(AAPL, "BUY", 1)
    client.reaches(number, "Filled")
    client.call("cancel", number=number)
    assert client.code(10148).endswith("cannot be cancelled, state: Filled.")


def test_an_order_id_is_used_once(client: Client) -> None:
    number = client.place(AAPL, "BUY", 1, orderId=40)
    client.reaches(number, "Filled")
    other = client.connect(2, session="other")
    assert other["next_id"] < 40
    client.place(IBM, "BUY", 1, orderId=41)
    client.reaches(41, "Filled")
    if client.official:
        client.place(AAPL, "BUY", 1, orderId=39)
        assert client.code(103) == "Duplicate order id"


def test_cancel_everything(client: Client, world: World) -> None:
    numbers = [client.place(AAPL, "BUY", 10 * n, "LMT", lmtPrice=far_below(world)) for n in (1, 2, 3)]
    for number in numbers:
        client.reaches(number, "Submitted")
    client.call("cancel_all")
    for number in numbers:
        client.reaches(number, "Cancelled")


def test_untransmitted_order_is_unseen(client: Client, world: World) -> None:
    number = client.place(AAPL, "BUY", 10, "LMT", lmtPrice=far_below(world), transmit=False)
    client.call("time")
    assert client.order(number)["status"] == "PendingSubmit"
    assert world.run(lambda: list(world.engine.book.live())) == []
    client.call("modify", number=number, changes={"transmit": True})
    client.reaches(number, "Submitted")


@pytest.mark.parametrize("quantity", [100, 1000])
def test_what_if(client: Client, world: World, quantity: int) -> None:
    price = float(quote(world, AAPL).ask)
    state = client.call(
        "what_if", contract=AAPL, order={"action": "BUY", "totalQuantity": quantity, "orderType": "MKT", "tif": "DAY"}
    )
    assert float(state["initMarginChange"]) == pytest.approx(quantity * price / 2, rel=0.02)
    assert float(state["maintMarginChange"]) == pytest.approx(quantity * price / 4, rel=0.02)
    assert float(state["equityWithLoanBefore"]) == 1_000_000
    assert float(state["initMarginAfter"]) == pytest.approx(
        float(state["initMarginBefore"]) + float(state["initMarginChange"])
    )
    commissions = [state[name] for name in ("commission", "minCommission", "maxCommission")]
    assert max(1, quantity * 0.005) in [value for value in commissions if value is not None]
    assert world.run(lambda: list(world.engine.book.live())) == []
    assert world.engine.executions == []


def test_what_if_of_an_option_spread(client: Client, world: World) -> None:
    known = qualified(client, option(world, "C"))
    state = client.call(
        "what_if", contract=known, order={"action": "BUY", "totalQuantity": 1, "orderType": "MKT", "tif": "DAY"}
    )
    assert float(state["initMarginChange"]) >= 0
    assert world.engine.executions == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        # an order with such a mistake gets 434, which ib_async takes for a warning and waits on
        ({"totalQuantity": 0}, 322),
        ({"orderType": "LMT", "lmtPrice": 1.001}, 110),
        ({"totalQuantity": 10_000_000}, 201),
    ],
    ids=["zero", "tick", "margin"],
)
def test_what_if_of_what_is_refused(client: Client, order: dict[str, Any], code: int) -> None:
    terms = {"action": "BUY", "totalQuantity": 1, "orderType": "MKT", "tif": "DAY", **order}
    state = client.call("what_if", contract=AAPL, order=terms)
    if state is None:
        assert client.code(code)
    else:
        assert code == 201
        assert state["warningText"] or float(state["initMarginAfter"]) > float(state["equityWithLoanAfter"])


def test_times_in_orders_of_the_past_are_refused(client: Client, world: World) -> None:
    number = client.place(
        AAPL, "BUY", 100, "LMT", lmtPrice=far_below(world), tif="GTD", goodTillDate="20240603 09:00:00 US/Eastern"
    )
    until(lambda: client.call("errors"), lambda errors: number in [error[0] for error in errors])
    assert world.run(lambda: list(world.engine.book.live())) == []
