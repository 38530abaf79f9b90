from datetime import UTC, datetime
from decimal import Decimal

from services.gateway.core.book import Book, blank_report
from shared.messages.broker import ErrorEffect, ExecutionReported
from shared.types import OrderStatus, Side

NONE, ALL = Decimal(0), Decimal(100)


def working(book: Book) -> None:
    book.sent(blank_report("a", 7, ALL))
    book.terms("a", 7, 900, ALL, Decimal("10.5"))
    book.status(7, "Submitted", NONE, ALL, None, 900)


def execution(execution_id: str, price: str = "10.5") -> ExecutionReported:
    return ExecutionReported(
        execution_id=execution_id,
        order_ref="",
        symbol="IBM",
        side=Side.BUY,
        quantity=ALL,
        price=Decimal(price),
        time=datetime(2010, 1, 4, 15, tzinfo=UTC),
        perm_id=900,
    )


def test_an_order_that_was_only_sent_is_not_known() -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    assert book.known("a") is None
    working(book)
    known = book.known("a")
    assert known is not None
    assert (known.status, known.limit_price, known.perm_id) == (OrderStatus.SUBMITTED, Decimal("10.5"), 900)


def test_an_unlisted_code_changes_no_order() -> None:
    book = Book()
    working(book)
    assert book.error(7, 987654, "who knows") == (ErrorEffect.UNKNOWN, "a", None)
    assert book.orders["a"].status is OrderStatus.SUBMITTED


def test_a_refused_change_leaves_the_order_working() -> None:
    book = Book()
    working(book)
    assert book.error(7, 201, "no") == (ErrorEffect.WARNING, "a", None)


def test_a_refused_new_order_is_rejected_with_the_reason() -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    effect, order_ref, report = book.error(7, 201, "no margin")
    assert (effect, order_ref) == (ErrorEffect.ORDER_REJECTED, "a")
    assert report is not None
    assert (report.status, report.reason) == (OrderStatus.REJECTED, "201 no margin")


def test_a_used_order_id_makes_the_order_unknown_not_rejected() -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    _, _, report = book.error(7, 103, "Duplicate order id")
    assert report is not None
    assert report.status is OrderStatus.UNKNOWN


def test_a_cancel_notice_does_not_undo_a_fill() -> None:
    book = Book()
    working(book)
    book.status(7, "Filled", ALL, NONE, Decimal("10.5"), 900)
    assert book.error(7, 202, "Order Canceled")[2] is None
    assert book.orders["a"].status is OrderStatus.FILLED


def test_a_complete_listing_forgets_what_the_broker_did_not_mention() -> None:
    book = Book()
    working(book)
    book.begin_listing()
    book.end_listing()
    assert book.known("a") is None
    report = book.status(7, "Submitted", NONE, ALL, None, 900)  # it speaks of it after all
    assert report is not None
    assert report.order_ref == "a"


def test_orders_of_others_are_left_out() -> None:
    assert Book().status(99, "Filled", ALL, NONE, Decimal(1), 5) is None


def test_corrections_are_pointed_out_once() -> None:
    book = Book()
    assert book.executed(execution("0001.aa.01.01")) is None
    assert book.executed(execution("0001.aa.01.01")) is None
    assert book.executed(execution("0001.aa.02.01")) is None
    assert "corrects 0001.aa.01.01" in (book.executed(execution("0001.aa.01.02", "10.6")) or "")
    book.begin_listing()
    book.executed(execution("0001.aa.01.01"))
    assert book.executed(execution("0001.aa.01.02", "10.6")) is None


def test_an_execution_that_changes_under_its_id_is_pointed_out() -> None:
    book = Book()
    book.executed(execution("0001.aa.01.01"))
    assert "is now" in (book.executed(execution("0001.aa.01.01", "11")) or "")
