"""Positions without stop and target: one entry, then an exit of their own whenever they are to be closed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.execution.core.books import Books
from services.execution.core.change import Change
from shared.messages.broker import AccountValues, BrokerPosition, BrokerSnapshot, ExecutionReported, OrderReported
from shared.messages.broker_commands import (
    CancelOrder,
    ComboLeg,
    ModifyOrder,
    NetPrice,
    OrderTerms,
    PriceEffect,
    SubmitOrder,
)
from shared.messages.order import CancelEntry, ClosePosition, OrderChanged, OrderFilled, PlaceOrder, Reconciled
from shared.types import Leg, OrderStatus, OrderType, Side, TimeInForce

NOW = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)
ENTRY = "AAPL-120601-1"
PLACE = PlaceOrder(
    order_id=ENTRY,
    strategy="crossover",
    symbol="AAPL",
    side=Side.BUY,
    quantity=Decimal(100),
    limit_price=Decimal(560),
    time_in_force=TimeInForce.DAY,
    expires_at=NOW,
    checks=(),
)
CLOSE = ClosePosition(order_id=ENTRY, symbol="AAPL", limit_price=Decimal(555), reason="crossed below")


def fill(books: Books, ref: str, filled: int, of: int, quantity: int, *, dead: bool = False) -> list[Change]:
    """The broker reports an execution and then its order; `filled` so far."""
    side = Side.BUY if ref == ENTRY else Side.SELL
    name, price = f"{ref}:{filled}", Decimal(560 if side is Side.BUY else 556)
    execution = ExecutionReported(
        execution_id=name, order_ref=ref, symbol="AAPL", side=side, quantity=Decimal(quantity), price=price, time=NOW,
        perm_id=1,
    )  # fmt: skip
    status = OrderStatus.CANCELLED if dead else OrderStatus.FILLED if filled == of else OrderStatus.PARTIALLY_FILLED
    return [books.report_execution(execution, NOW), report(books, ref, status, filled, of)]


def report(books: Books, ref: str, status: OrderStatus, filled: int = 0, of: int = 100) -> Change:
    word = OrderReported(
        order_ref=ref, status=status, filled=Decimal(filled), remaining=Decimal(of - filled), average_price=None,
        limit_price=None, broker_order_id=1, perm_id=1,
    )  # fmt: skip
    return books.report_order(word, NOW)


def entered(filled: int = 100) -> Books:
    books = Books()
    books.place(PLACE, NOW)
    fill(books, ENTRY, filled, 100, filled)
    return books


def sent(change: Change) -> OrderTerms:
    ((submit, key),) = change.messages
    assert isinstance(submit, SubmitOrder)
    (terms,) = submit.orders
    assert key == terms.order_ref
    return terms


def test_an_entry_without_stop_and_target_is_sent_alone() -> None:
    change = Books().place(PLACE, NOW)
    assert sent(change).order_ref == ENTRY
    assert [(order.leg, order.status) for order in change.orders.values()] == [(Leg.ENTRY, OrderStatus.INTENT)]


def test_a_target_may_stand_alone_but_a_stop_may_not() -> None:
    target = PLACE.model_copy(update={"target_price": Decimal(600)})
    assert set(Books().place(target, NOW).orders) == {ENTRY, f"{ENTRY}.target"}
    with pytest.raises(ValueError, match="has a stop and no target"):
        PlaceOrder.model_validate(PLACE.model_dump() | {"stop_price": Decimal(540)})


def test_closing_writes_an_exit_down_and_has_it_sent() -> None:
    books = entered()
    change = books.close(CLOSE, NOW)
    terms = sent(change)
    assert (terms.order_ref, terms.side, terms.quantity) == (f"{ENTRY}.exit", Side.SELL, Decimal(100))
    assert (terms.order_type, terms.limit_price, terms.parent) == (OrderType.LIMIT, Decimal(555), None)
    (order,) = change.orders.values()
    assert (order.order_id, order.leg, order.status) == (ENTRY, Leg.EXIT, OrderStatus.INTENT)
    booked, changed = fill(books, terms.order_ref, 100, 100, 100)
    assert [(m.leg, m.realised) for m, _ in booked.messages if isinstance(m, OrderFilled)] == [
        (Leg.EXIT, Decimal(-400))
    ]
    assert [m.leg for m, _ in changed.messages if isinstance(m, OrderChanged)] == [Leg.EXIT]
    assert books.close(CLOSE, NOW).messages == []


def test_closing_again_moves_the_working_exit() -> None:
    books = entered()
    books.close(CLOSE, NOW)
    again = CLOSE.model_copy(update={"limit_price": Decimal(550)})
    for status in (OrderStatus.INTENT, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
        report(books, f"{ENTRY}.exit", status)
        assert [message for message, _ in books.close(again, NOW).messages] == [
            ModifyOrder(order_ref=f"{ENTRY}.exit", limit_price=Decimal(550))
        ]


@pytest.mark.parametrize("filled", [0, 40])
def test_an_exit_that_died_is_followed_by_one_for_the_rest(filled: int) -> None:
    books = entered()
    books.close(CLOSE, NOW)
    if filled:
        fill(books, f"{ENTRY}.exit", filled, 100, filled)
    report(books, f"{ENTRY}.exit", OrderStatus.CANCELLED, filled)
    terms = sent(books.close(CLOSE, NOW))
    assert (terms.order_ref, terms.quantity) == (f"{ENTRY}.exit2", Decimal(100 - filled))
    report(books, terms.order_ref, OrderStatus.REJECTED)
    assert sent(books.close(CLOSE, NOW)).order_ref == f"{ENTRY}.exit3"


def test_what_fills_while_the_entry_is_cancelled_is_closed_next() -> None:
    books = entered(60)
    assert [message for message, _ in books.cancel_entry(CancelEntry(order_id=ENTRY, reason="exit")).messages] == [
        CancelOrder(order_ref=ENTRY)
    ]
    assert sent(books.close(CLOSE, NOW)).quantity == 60
    fill(books, ENTRY, 70, 100, 10, dead=True)
    fill(books, f"{ENTRY}.exit", 60, 60, 60)
    assert sent(books.close(CLOSE, NOW)).quantity == 10


def test_nothing_is_sold_that_is_not_held() -> None:
    books = Books()
    books.place(PLACE, NOW)
    assert books.close(CLOSE, NOW).messages == []
    books = entered()
    by_hand = ExecutionReported(
        execution_id="h", order_ref="", symbol="AAPL", side=Side.SELL, quantity=Decimal(70), price=Decimal(557),
        time=NOW, perm_id=2,
    )  # fmt: skip
    books.report_execution(by_hand, NOW)
    assert sent(books.close(CLOSE, NOW)).quantity == 30
    assert Books().close(CLOSE, NOW).messages == []


def test_a_bracket_gets_an_exit_only_when_its_stop_and_its_target_are_dead() -> None:
    books = Books()
    bracket = PLACE.model_copy(update={"stop_price": Decimal(540), "target_price": Decimal(600)})
    books.place(bracket, NOW)
    fill(books, ENTRY, 100, 100, 100)
    report(books, f"{ENTRY}.stop", OrderStatus.SUBMITTED)
    report(books, f"{ENTRY}.target", OrderStatus.REJECTED)
    assert books.close(CLOSE, NOW).messages == []
    report(books, f"{ENTRY}.stop", OrderStatus.REJECTED)
    assert sent(books.close(CLOSE, NOW)).order_ref == f"{ENTRY}.exit"


def test_a_restart_goes_on_where_the_books_were() -> None:
    books = entered()
    books.close(CLOSE, NOW)
    loaded = Books(dict(books.orders), dict(books.fills), dict(books.positions), books.account)
    assert [message for message, _ in loaded.close(CLOSE, NOW).messages] == [
        ModifyOrder(order_ref=f"{ENTRY}.exit", limit_price=Decimal(555))
    ]
    report(loaded, f"{ENTRY}.exit", OrderStatus.EXPIRED)
    assert sent(loaded.close(CLOSE, NOW)).order_ref == f"{ENTRY}.exit2"


def test_an_entry_without_a_stop_needs_none_to_reconcile() -> None:
    books = entered()
    account = AccountValues(account="DU1", net_liquidation=Decimal(1), cash=Decimal(1), buying_power=Decimal(1))
    snapshot = BrokerSnapshot(
        request_id=None,
        account=account,
        positions=(BrokerPosition(symbol="AAPL", quantity=Decimal(100), average_cost=Decimal(560)),),
        orders=(),
        executions=(),
        commissions=(),
    )
    breaks = [m.breaks for m, _ in books.report_snapshot(snapshot, NOW).messages if isinstance(m, Reconciled)]
    assert breaks == [()]
    report(books, ENTRY, OrderStatus.EXPIRED)  # a late word about an order whose children were never sent
    assert books.orders[ENTRY].status is OrderStatus.FILLED


def test_an_entry_alone_may_expire() -> None:
    books = Books()
    books.place(PLACE, NOW)
    report(books, ENTRY, OrderStatus.EXPIRED)
    assert books.orders[ENTRY].status is OrderStatus.EXPIRED
    assert set(books.orders) == {ENTRY}


CALL, PUT = "AAPL  120616C00560000", "AAPL  120616C00570000"
LEGS = (ComboLeg(symbol=CALL, side=Side.BUY), ComboLeg(symbol=PUT, side=Side.SELL, ratio=2))


def test_a_combination_is_entered_and_closed_as_one_at_a_net_price() -> None:
    debit = NetPrice(effect=PriceEffect.DEBIT, amount=Decimal("2.50"))
    credit = NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("3.00"))
    books = Books()
    change = books.place(PLACE.model_copy(update={"limit_price": None, "legs": LEGS, "net_price": debit}), NOW)
    assert (sent(change).legs, sent(change).net_price) == (LEGS, debit)
    assert [order.limit_price for order in change.orders.values()] == [Decimal("2.50")]
    report(books, ENTRY, OrderStatus.FILLED, 3, 3)
    for number, (symbol, side, quantity) in enumerate(((CALL, Side.BUY, 3), (PUT, Side.SELL, 5))):
        leg = ExecutionReported(
            execution_id=f"leg{number}", order_ref=ENTRY, symbol=symbol, side=side, quantity=Decimal(quantity),
            price=Decimal(5), time=NOW, perm_id=1, multiplier=Decimal(100),
        )  # fmt: skip
        books.report_execution(leg, NOW)
    close = CLOSE.model_copy(update={"limit_price": None, "legs": LEGS, "net_price": credit})
    change = books.close(close, NOW)
    terms = sent(change)
    assert (terms.side, terms.legs, terms.net_price) == (Side.SELL, LEGS, credit)
    assert terms.quantity == 2  # of five puts sold, two to one, two combinations are whole
    assert [order.limit_price for order in change.orders.values()] == [Decimal("3.00")]
    assert [message for message, _ in books.close(close, NOW).messages] == [
        ModifyOrder(order_ref=terms.order_ref, net_price=credit)
    ]
