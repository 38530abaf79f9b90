"""The books as a fold: placed orders, reports in any order and any number of times, snapshots, breaks."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations

import pytest

from services.execution.core.books import Books
from services.execution.core.change import Change
from shared.messages.base import Message
from shared.messages.broker import (
    AccountValues,
    BrokerPosition,
    BrokerSnapshot,
    CommissionReported,
    ExecutionReported,
    OrderReported,
)
from shared.messages.broker_commands import CancelOrder, ModifyOrder, SubmitOrder
from shared.messages.order import CancelEntry, ClosePosition, OrderFilled, PlaceOrder, Reconciled
from shared.types import OrderStatus, Side, TimeInForce

NOW = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)
ACCOUNT = AccountValues(
    account="DU1", net_liquidation=Decimal(1_000_000), cash=Decimal(1_000_000), buying_power=Decimal(4_000_000)
)
PLACE = PlaceOrder(
    order_id="AAPL-120601-1",
    strategy="crossover",
    symbol="AAPL",
    side=Side.BUY,
    quantity=Decimal(100),
    limit_price=Decimal(560),
    stop_price=Decimal(540),
    target_price=Decimal(600),
    time_in_force=TimeInForce.DAY,
    expires_at=NOW,
    checks=(),
)


def said(change: Change, kind: type[Message]) -> list[Message]:
    return [message for message, _ in change.messages if isinstance(message, kind)]


def execution(
    number: int, side: Side = Side.BUY, price: str = "559.5", ref: str = "AAPL-120601-1"
) -> ExecutionReported:
    return ExecutionReported(
        execution_id=f"e{number}",
        order_ref=ref,
        symbol="AAPL",
        side=side,
        quantity=Decimal(100),
        price=Decimal(price),
        time=NOW,
        perm_id=1,
    )


def corrected(price: str, version: int, *, of: int = 1, side: Side = Side.BUY) -> ExecutionReported:
    return execution(1, side, price).model_copy(
        update={"execution_id": f"e.{version:02d}", "corrects": f"e.{of:02d}" if version > 1 else None}
    )


def reported(ref: str, status: OrderStatus, filled: int = 0) -> OrderReported:
    return OrderReported(
        order_ref=ref,
        status=status,
        filled=Decimal(filled),
        remaining=Decimal(100 - filled),
        average_price=None,
        limit_price=None,
        broker_order_id=1,
        perm_id=1,
    )


def snapshot(**parts: object) -> BrokerSnapshot:
    empty = {"request_id": None, "account": ACCOUNT, "positions": (), "orders": (), "executions": (), "commissions": ()}
    return BrokerSnapshot.model_validate(empty | parts)


def test_an_order_is_written_as_intent_before_the_command_that_sends_it() -> None:
    books = Books()
    change = books.place(PLACE, NOW)
    assert {order.status for order in change.orders.values()} == {OrderStatus.INTENT}
    assert set(change.orders) == {"AAPL-120601-1", "AAPL-120601-1.stop", "AAPL-120601-1.target"}
    assert change.orders["AAPL-120601-1.stop"].side is Side.SELL
    assert len(said(change, SubmitOrder)) == 1


def test_a_fill_is_booked_once_however_often_it_is_reported() -> None:
    books = Books()
    books.place(PLACE, NOW)
    assert len(said(books.report_execution(execution(1), NOW), OrderFilled)) == 1
    assert books.report_execution(execution(1), NOW).messages == []
    assert said(books.report_snapshot(snapshot(executions=(execution(1),)), NOW), OrderFilled) == []
    assert books.positions["AAPL"].quantity == 100


def test_a_commission_may_come_before_its_execution_and_counts_once() -> None:
    books = Books()
    books.place(PLACE, NOW)
    report = CommissionReported(execution_id="e1", commission=Decimal("1.00"))
    assert books.report_commission(report, NOW).messages == []
    books.report_execution(execution(1), NOW)
    books.report_commission(report, NOW)
    assert books.positions["AAPL"].commissions == Decimal("1.00")
    assert books.fills["e1"].commission == Decimal("1.00")


def test_closing_moves_the_target_and_leaves_the_stop_linked() -> None:
    books = Books()
    books.place(PLACE, NOW)
    close = ClosePosition(order_id="AAPL-120601-1", symbol="AAPL", limit_price=Decimal(555), reason="crossed below")
    assert said(books.close(close, NOW), ModifyOrder) == [
        ModifyOrder(order_ref="AAPL-120601-1.target", limit_price=Decimal(555))
    ]
    books.report_order(reported("AAPL-120601-1.target", OrderStatus.FILLED, 100), NOW)
    assert books.close(close, NOW).messages == []


def test_cancelling_a_filled_entry_sends_nothing() -> None:
    books = Books()
    books.place(PLACE, NOW)
    cancel = CancelEntry(order_id="AAPL-120601-1", reason="halted")
    assert said(books.cancel_entry(cancel), CancelOrder) == [CancelOrder(order_ref="AAPL-120601-1")]
    books.report_order(reported("AAPL-120601-1", OrderStatus.FILLED, 100), NOW)
    assert books.cancel_entry(cancel).messages == []


def test_an_expired_entry_takes_its_children_with_it() -> None:
    books = Books()
    books.place(PLACE, NOW)
    books.report_order(reported("AAPL-120601-1", OrderStatus.EXPIRED), NOW)
    assert books.orders["AAPL-120601-1.stop"].status is OrderStatus.CANCELLED
    assert books.orders["AAPL-120601-1.target"].status is OrderStatus.CANCELLED


def test_the_first_snapshot_adopts_what_the_account_holds_and_the_cash_equation_holds() -> None:
    books = Books()
    held = BrokerPosition(symbol="IBM", quantity=Decimal(10), average_cost=Decimal(190))
    change = books.report_snapshot(snapshot(positions=(held,)), NOW)
    assert [result.breaks for result in said(change, Reconciled) if isinstance(result, Reconciled)] == [()]
    assert books.account is not None
    assert books.account.start_cash == ACCOUNT.cash + 1900


def test_a_position_that_differs_is_a_break() -> None:
    books = Books()
    books.report_snapshot(snapshot(), NOW)
    held = BrokerPosition(symbol="IBM", quantity=Decimal(10), average_cost=Decimal(190))
    change = books.report_snapshot(snapshot(positions=(held,)), NOW)
    (result,) = said(change, Reconciled)
    assert isinstance(result, Reconciled)
    assert [(item.subject, item.ours, item.broker) for item in result.breaks] == [("position IBM", "0", "10")]


def test_a_working_order_the_broker_does_not_know_is_a_break_but_an_intent_is_not() -> None:
    books = Books()
    books.report_snapshot(snapshot(), NOW)
    books.place(PLACE, NOW)
    books.report_order(reported("AAPL-120601-1", OrderStatus.SUBMITTED), NOW)
    (result,) = said(books.report_snapshot(snapshot(), NOW), Reconciled)
    assert isinstance(result, Reconciled)
    assert [item.subject for item in result.breaks] == ["order AAPL-120601-1"]


def test_a_fill_of_an_order_that_is_not_ours_is_booked_as_external() -> None:
    books = Books()
    (fill,) = said(books.report_execution(execution(1, ref=""), NOW), OrderFilled)
    assert isinstance(fill, OrderFilled)
    assert (fill.strategy, fill.position_quantity) == ("EXTERNAL", Decimal(100))


def test_a_corrected_fill_takes_the_place_of_the_one_before_and_keeps_its_commission() -> None:
    books = Books()
    books.place(PLACE, NOW)
    books.report_execution(corrected("559.5", 1), NOW)
    books.report_commission(CommissionReported(execution_id="e.01", commission=Decimal("1.00")), NOW)
    (said_again,) = said(books.report_execution(corrected("558.5", 2), NOW), OrderFilled)
    assert isinstance(said_again, OrderFilled)
    assert (said_again.corrects, said_again.position_quantity) == ("e.01", Decimal(100))
    position = books.positions["AAPL"]
    assert (position.quantity, position.average_price) == (Decimal(100), Decimal("558.5"))
    books.report_commission(CommissionReported(execution_id="e.02", commission=Decimal("1.00")), NOW)
    assert books.positions["AAPL"].commissions == Decimal("1.00")
    books.report_commission(CommissionReported(execution_id="e.02", commission=Decimal("1.25")), NOW)
    assert books.positions["AAPL"].commissions == Decimal("1.25")
    assert (books.fills["e.01"].commission, books.fills["e.02"].commission) == (Decimal("1.00"), Decimal("1.25"))


@pytest.mark.parametrize("order_of_arrival", list(permutations((1, 2, 3))))
def test_versions_of_one_execution_are_booked_as_the_last_one_however_they_arrive(
    order_of_arrival: tuple[int, ...],
) -> None:
    books = Books()
    books.place(PLACE, NOW)
    for version in (*order_of_arrival, *order_of_arrival):
        books.report_execution(corrected(f"55{version}", version), NOW)
    position = books.positions["AAPL"]
    assert (position.quantity, position.average_price, position.realised) == (Decimal(100), Decimal(553), Decimal(0))
    reloaded = Books(fills=dict(books.fills), positions=dict(books.positions))
    assert reloaded.report_execution(corrected("551", 1), NOW).messages == []
    assert reloaded.report_execution(corrected("552", 2), NOW).messages == []


def test_a_correction_of_a_sale_leaves_what_the_cash_says() -> None:
    books = Books()
    books.report_execution(execution(9, price="550"), NOW)
    books.report_execution(corrected("560", 1, side=Side.SELL), NOW)
    books.report_execution(corrected("555", 2, side=Side.SELL), NOW)
    position = books.positions["AAPL"]
    assert (position.quantity, position.realised) == (Decimal(0), Decimal(500))
    assert books.fills["e.02"].realised == Decimal(500)


def test_a_combination_moves_positions_by_its_legs_only() -> None:
    books = Books()
    whole = execution(1).model_copy(update={"combination": True})
    assert books.report_execution(whole, NOW).messages == []
    leg = execution(2, price="2.50").model_copy(update={"multiplier": Decimal(100), "quantity": Decimal(3)})
    books.report_execution(leg.model_copy(update={"symbol": "AAPL  261218C00200000"}), NOW)
    assert "AAPL" not in books.positions
    position = books.positions["AAPL  261218C00200000"]
    assert (position.quantity, position.average_price) == (Decimal(3), Decimal(250))


def test_an_order_that_never_reached_the_broker_is_rejected_and_no_break() -> None:
    books = Books()
    books.report_snapshot(snapshot(), NOW)
    books.place(PLACE, NOW)
    references = ("AAPL-120601-1", "AAPL-120601-1.stop", "AAPL-120601-1.target")
    for ref in references:
        books.report_order(reported(ref, OrderStatus.UNKNOWN), NOW)
    (result,) = said(books.report_snapshot(snapshot(), NOW), Reconciled)
    assert isinstance(result, Reconciled)
    assert len(result.breaks) == 3
    for ref in references:
        books.report_order(reported(ref, OrderStatus.REJECTED), NOW)
    (result,) = said(books.report_snapshot(snapshot(), NOW), Reconciled)
    assert isinstance(result, Reconciled)
    assert result.breaks == ()


def test_an_entry_whose_stop_is_refused_is_cancelled_unless_it_is_done() -> None:
    books = Books()
    books.place(PLACE, NOW)
    books.report_order(reported("AAPL-120601-1", OrderStatus.SUBMITTED), NOW)
    refused = reported("AAPL-120601-1.stop", OrderStatus.REJECTED)
    change = books.report_order(refused, NOW)
    assert said(change, CancelOrder) == [CancelOrder(order_ref="AAPL-120601-1")]
    assert said(books.report_order(refused, NOW), CancelOrder) == []
    other = Books()
    other.place(PLACE, NOW)
    other.report_order(reported("AAPL-120601-1", OrderStatus.REJECTED), NOW)
    assert said(other.report_order(refused, NOW), CancelOrder) == []


@pytest.mark.parametrize(
    ("stop", "target", "found"),
    [
        ((OrderStatus.SUBMITTED, 0), (OrderStatus.SUBMITTED, 0), []),
        ((OrderStatus.REJECTED, 0), (OrderStatus.SUBMITTED, 0), ["protection of AAPL-120601-1"]),
        ((OrderStatus.CANCELLED, 0), (OrderStatus.CANCELLED, 40), ["protection of AAPL-120601-1"]),
        ((OrderStatus.CANCELLED, 0), (OrderStatus.FILLED, 100), []),
    ],
    ids=["protected", "stop refused", "both gone", "closed"],
)
def test_a_position_without_a_working_stop_is_a_break(
    stop: tuple[OrderStatus, int], target: tuple[OrderStatus, int], found: list[str]
) -> None:
    books = Books()
    books.place(PLACE, NOW)
    fills = [execution(1)]
    if target[1]:
        fills.append(execution(2, Side.SELL, "600", "AAPL-120601-1.target").model_copy(update={"quantity": target[1]}))
    held = Decimal(100 - target[1])
    orders = (
        reported("AAPL-120601-1", OrderStatus.FILLED, 100),
        reported("AAPL-120601-1.stop", *stop),
        reported("AAPL-120601-1.target", *target),
    )
    positions = (BrokerPosition(symbol="AAPL", quantity=held, average_cost=Decimal("559.5")),) if held else ()
    change = books.report_snapshot(snapshot(orders=orders, executions=fills, positions=positions), NOW)
    (result,) = said(change, Reconciled)
    assert isinstance(result, Reconciled)
    assert [item.subject for item in result.breaks] == found
