"""The sequences of messages in the lives of orders, as a real gateway sends them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from services.simulator.core.orders import OrderRequest
from services.simulator.wire import requests
from tests.unit.simulator.desk import AAPL, IBM, OPEN, join, make_broker, open_broker

COMBO = {
    "symbol": "AAPL,IBM", "sec_type": "BAG", "order_id": 1, "action": "BUY", "order_type": "MKT", "total_quantity": 10,
    "tif": "DAY", "transmit": True, "exchange": "SMART", "currency": "USD",
    "combo_legs": [
        {"con_id": AAPL, "ratio": 1, "action": "BUY", "exchange": "SMART"},
        {"con_id": IBM, "ratio": 2, "action": "SELL", "exchange": "SMART"},
    ],
}  # fmt: skip


def legs(*changes: dict[str, object]) -> list[dict[str, object]]:
    return [{**leg, **change} for leg, change in zip(COMBO["combo_legs"], changes, strict=True)]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([], 314), (legs({"con_id": 1}, {}), 200), (legs({"action": "HOLD"}, {}), 313), (legs({"ratio": 0}, {}), 313),
        (legs({"ratio": 2}, {}), 312), (legs({"con_id": IBM}, {}), 312),
    ],
)  # fmt: skip
def test_impossible_combinations_are_refused(wrong: object, code: int) -> None:
    client = join(open_broker())
    client.ask(requests.PLACE, **{**COMBO, "combo_legs": wrong})
    assert client.names() == [f"error {code}"]


def test_a_combination_fills_with_its_legs() -> None:
    client = join(open_broker())
    sent = client.ask(requests.PLACE, **COMBO)
    client.broker.advance(OPEN + timedelta(minutes=1))
    executions = [row for name, row in client.sent if name == "execDetails"]
    assert [(row["sec_type"], row["symbol"], row["side"], row["cumulative_quantity"]) for row in executions] == [
        ("BAG", "AAPL,IBM", "BOT", "10"), ("STK", "AAPL", "BOT", "10"), ("STK", "IBM", "SLD", "20")
    ]  # fmt: skip
    assert len({row["perm_id"] for row in executions}) == 1
    reported = [row["execution_id"] for name, row in client.sent if name == "commissionReport"]
    assert reported == [row["execution_id"] for row in executions[1:]]
    opened = [row for name, row in (*sent, *client.sent) if name == "openOrder"][-1]
    assert (opened["status"], opened["con_id"], opened["combo_legs_description"]) == (
        "Filled", "28812380", f"{AAPL}|1,{IBM}|-2"
    )  # fmt: skip
    assert [leg["con_id"] for leg in opened["combo_legs"]] == [str(AAPL), str(IBM)]  # type: ignore[index]
    client.ask(requests.REQUEST_EXECUTIONS, request_id=5, sec_type="BAG")
    assert client.names() == ["execDetails", "execDetailsEnd"]


def test_sequence_of_a_market_order() -> None:
    client = join(open_broker())
    client.place(1, "BUY", "MKT")
    assert client.names()[:2] == ["openOrder PreSubmitted", "orderStatus PreSubmitted"]
    fill = client.names().index("execDetails")
    assert client.names()[fill:][:4] == ["execDetails", "openOrder Filled", "orderStatus Filled", "commissionReport"]


def test_sequence_of_a_change_and_a_cancel() -> None:
    client = join(open_broker())
    client.place(1, "BUY", "LMT", limit_price=150)
    assert client.names() == ["openOrder Submitted", "orderStatus Submitted"]
    client.place(1, "BUY", "LMT", limit_price=151)
    assert client.names() == ["openOrder Submitted", "orderStatus Submitted"]
    assert client.sent[0][1]["limit_price"] == "151"
    client.ask(requests.CANCEL_ORDER, order_id=1)
    assert client.names() == ["orderStatus Cancelled", "error 202"]
    client.ask(requests.CANCEL_ORDER, order_id=1)
    assert client.names() == ["error 10148"]
    client.ask(requests.REQUEST_COMPLETED_ORDERS, api_only=False)
    assert client.names() == ["completedOrder", "completedOrdersEnd"]
    assert client.sent[0][1]["completed_status"] == "Cancelled by Trader"


def test_sequence_of_an_order_out_of_hours() -> None:
    client = join(make_broker())
    client.place(1, "BUY", "LMT", limit_price=150)
    assert client.names() == ["error 399", "openOrder PreSubmitted", "orderStatus PreSubmitted"]


def test_a_held_order_is_not_told_of() -> None:
    client = join(open_broker())
    client.place(1, "BUY", "LMT", limit_price=150, transmit=False)
    client.ask(requests.REQUEST_OPEN_ORDERS)
    assert client.names() == ["openOrderEnd"]


def test_the_notice_of_a_preset_comes_first() -> None:
    client = join(open_broker(preset_tif_notice=True))
    client.place(1, "BUY", "LMT", limit_price=150, tif="")
    assert client.names() == ["error 10349", "openOrder Submitted", "orderStatus Submitted"]
    client.place(2, "BUY", "LMT", limit_price=150)
    assert "error 10349" not in client.names()


def test_who_hears_of_an_order() -> None:
    broker = open_broker(master_client_id=9)
    owner, stranger, master = join(broker, 1), join(broker, 2), join(broker, 9)
    owner.place(1, "BUY", "LMT", limit_price=150)
    assert owner.names() == master.names() == ["openOrder Submitted", "orderStatus Submitted"]
    assert stranger.names() == []
    stranger.ask(requests.REQUEST_OPEN_ORDERS)
    assert stranger.names() == ["openOrderEnd"]
    stranger.ask(requests.REQUEST_ALL_OPEN_ORDERS)
    assert stranger.names() == ["openOrder Submitted", "orderStatus Submitted", "openOrderEnd"]
    stranger.ask(requests.REQUEST_AUTO_OPEN_ORDERS, auto_bind=True)
    assert stranger.names() == ["error 321"]


def test_executions_are_filtered() -> None:
    broker = open_broker(accounts=("DU1000002",))
    client = join(broker)
    client.place(1, "BUY", "MKT")
    client.place(2, "SELL", "MKT", symbol="IBM", account="DU1000002")
    broker.advance(OPEN + timedelta(minutes=1))

    def symbols(**wanted: object) -> set[str]:
        client.ask(requests.REQUEST_EXECUTIONS, request_id=1, **wanted)
        return {str(row["symbol"]) for name, row in client.sent if name == "execDetails"}

    assert symbols() == {"AAPL", "IBM"}
    assert symbols(account="DU1000002") == symbols(side="SELL") == symbols(symbol="IBM") == {"IBM"}
    assert symbols(account="DU1000001") == symbols(side="BOT") == {"AAPL"}
    assert symbols(client_id=2) == symbols(time="20100104 12:00:00") == symbols(sec_type="OPT") == set()


def test_what_if_orders_nothing() -> None:
    client = join(open_broker())
    client.place(1, "BUY", "MKT", what_if=True)
    ((name, row),) = client.sent
    assert (name, row["what_if"], row["order_id"]) == ("openOrder", "1", "1")
    assert Decimal(str(row["initial_margin_change"])) == Decimal(str(row["initial_margin_after"])) > 0
    assert Decimal(str(row["equity_before"])) == 1_000_000
    assert Decimal(str(row["commission"])) == 1
    assert not client.broker.engine.book.orders
    client.place(2, "BUY", "MKT", what_if=True, total_quantity=10_000_000)
    assert client.names() == ["error 201"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"total_quantity": 0}, 322), ({"account": "DU9"}, 322), ({"symbol": "NONE"}, 200), ({"tif": "XYZ"}, 201)],
)
def test_a_refused_what_if_ends_with_a_code_that_no_client_ignores(wrong: dict[str, object], code: int) -> None:
    client = join(open_broker())
    client.place(1, "BUY", "MKT", what_if=True, **wrong)
    assert client.names() == [f"error {code}"]


def test_an_order_entered_by_hand_belongs_to_client_0() -> None:
    broker = open_broker()
    first, other = join(broker, 0), join(broker, 1)
    terms = OrderRequest(0, broker.engine.next_manual_id(), AAPL, "BUY", Decimal(1), "LMT", limit_price=Decimal(150))
    broker.place(terms)
    assert first.names() == ["openOrder Submitted", "orderStatus Submitted"]
    assert (first.sent[0][1]["order_id"], other.names()) == ("-1", [])
    first.ask(requests.REQUEST_AUTO_OPEN_ORDERS, auto_bind=True)
    assert first.names() == ["orderBound"]
    first.place(-1, "BUY", "LMT", limit_price=149, total_quantity=1)
    assert first.names() == ["openOrder Submitted", "orderStatus Submitted"]
    first.place(-2, "BUY", "LMT", limit_price=149)
    assert first.names() == ["error 103"]
    first.ask(requests.CANCEL_ORDER, order_id=-1)
    assert first.names() == ["orderStatus Cancelled", "error 202"]
    assert broker.engine.next_order_id(0) == 1


def test_an_order_id_beyond_32_bits_does_not_spoil_the_ids_to_come() -> None:
    broker = open_broker()
    client = join(broker, 1)
    client.place(9 * 10**16, "BUY", "MKT")
    assert client.names() == ["error 322"]
    assert broker.engine.next_order_id(1) == 1
    client.place(2**31 - 2, "BUY", "MKT", total_quantity=1)
    assert "execDetails" in client.names()
