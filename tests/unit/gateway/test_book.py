import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.book import NO_REASON, Book, Status, blank_report, order_status, together
from services.gateway.core.error_codes import Context
from shared.messages.broker import ErrorEffect, OrderReported
from shared.types import OrderStatus

NONE, SOME, ALL = Decimal(0), Decimal(40), Decimal(100)


def terms(order_ref: str = "a", order_id: int = 7, perm_id: int = 900, limit: str = "10.5") -> OrderReported:
    report = blank_report(order_ref, order_id, ALL, perm_id)
    return report.model_copy(update={"limit_price": Decimal(limit)})


def status(word: str, filled: Decimal = NONE, *, order_id: int = 7, perm_id: int = 900) -> Status:
    return Status(order_id, word, filled, ALL - filled, Decimal("10.5") if filled else None, perm_id)


def working() -> Book:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    book.terms(terms())
    book.status(status("Submitted"))
    return book


def known(book: Book, order_ref: str = "a") -> OrderReported:
    report = book.known(order_ref)
    assert report is not None
    return report


def test_an_order_that_was_only_sent_is_not_known() -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    assert book.known("a") is None
    assert list(book.orders) == []
    report = known(working())
    assert (report.status, report.limit_price, report.perm_id) == (OrderStatus.SUBMITTED, Decimal("10.5"), 900)


@pytest.mark.parametrize(
    ("word", "filled", "expected"),
    [
        ("PendingSubmit", NONE, OrderStatus.SUBMITTED),
        ("PreSubmitted", NONE, OrderStatus.SUBMITTED),
        ("PreSubmitted", SOME, OrderStatus.PARTIALLY_FILLED),
        ("Submitted", SOME, OrderStatus.PARTIALLY_FILLED),
        ("PendingCancel", NONE, OrderStatus.SUBMITTED),
        ("Filled", ALL, OrderStatus.FILLED),
        ("Cancelled", SOME, OrderStatus.CANCELLED),
        ("ApiCancelled", NONE, OrderStatus.CANCELLED),
        ("Inactive", NONE, OrderStatus.REJECTED),
        ("Inactive", SOME, OrderStatus.CANCELLED),
        ("Frobnicated", NONE, OrderStatus.UNKNOWN),
    ],
)
def test_order_status(word: str, filled: Decimal, expected: OrderStatus) -> None:
    assert order_status(word, filled) is expected


# Errors


def test_an_unlisted_code_changes_no_order() -> None:
    book = working()
    assert book.error(7, 987654, "who knows") == (ErrorEffect.UNKNOWN, "a", None)
    assert known(book).status is OrderStatus.SUBMITTED


def test_a_refused_change_leaves_the_order_working() -> None:
    book = working()
    book.asked("a", Context.CHANGE)
    assert book.error(7, 110, "no") == (ErrorEffect.STILL_ALIVE, "a", None)
    assert known(book).status is OrderStatus.SUBMITTED


@pytest.mark.parametrize("code", [161, 10147, 10148])
def test_a_cancel_that_was_not_carried_out_changes_nothing(code: int) -> None:
    book = working()
    book.asked("a", Context.CANCEL)
    assert book.error(7, code, "no") == (ErrorEffect.STILL_ALIVE, "a", None)


def test_a_refused_new_order_is_rejected_with_the_reason() -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    effect, order_ref, report = book.error(7, 201, "no margin")
    assert (effect, order_ref) == (ErrorEffect.ORDER_REJECTED, "a")
    assert report is not None
    assert (report.status, report.reason) == (OrderStatus.REJECTED, "201 no margin")
    after = book.status(status("Inactive"))
    assert after is not None
    assert (after.status, after.reason) == (OrderStatus.REJECTED, "201 no margin")


@pytest.mark.parametrize("word", ["Inactive", "Cancelled"])
def test_an_acknowledged_order_that_is_refused_after_all_is_rejected(word: str) -> None:
    book = working()
    assert book.error(7, 201, "no margin") == (ErrorEffect.WARNING, "a", None)
    report = book.status(status(word))
    assert report is not None
    assert (report.status, report.reason) == (OrderStatus.REJECTED, "201 no margin")


def test_an_old_refusal_is_no_reason() -> None:
    book = working()
    book.error(7, 201, "no margin")
    book.status(status("Submitted"))
    report = book.status(status("Cancelled"))
    assert report is not None
    assert (report.status, report.reason) == (OrderStatus.CANCELLED, None)


def test_a_silent_rejection_says_that_it_is_silent() -> None:
    book = working()
    report = book.status(status("Inactive"))
    assert report is not None
    assert (report.status, report.reason) == (OrderStatus.REJECTED, NO_REASON)


@pytest.mark.parametrize("code", [103, 104, 105])
def test_a_used_order_id_makes_the_order_unknown_not_rejected(code: int) -> None:
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    effect, _, report = book.error(7, code, "Duplicate order id")
    assert report is not None
    assert (effect, report.status) == (ErrorEffect.UNKNOWN, OrderStatus.UNKNOWN)
    assert book.known("a") is None


def test_a_cancel_notice_does_not_undo_a_fill() -> None:
    book = working()
    book.status(status("Filled", ALL))
    assert book.error(7, 202, "Order Canceled")[2] is None
    assert known(book).status is OrderStatus.FILLED


def test_a_fill_undoes_a_cancel_notice() -> None:
    book = working()
    book.error(7, 202, "Order Canceled")
    assert known(book).status is OrderStatus.CANCELLED
    book.status(status("Filled", ALL))
    assert known(book).status is OrderStatus.FILLED


# Whose it is


def test_a_status_without_a_known_order_waits_for_the_order() -> None:
    book = Book()
    assert book.status(status("Filled", ALL)) is None
    report = book.terms(terms())
    assert report is not None
    assert (report.status, report.order_ref) == (OrderStatus.FILLED, "a")


def test_a_reused_order_id_mixes_nothing() -> None:
    book = working()
    book.terms(terms("b", 7, 901))
    book.status(status("Filled", ALL, perm_id=901))
    assert (known(book, "a").status, known(book, "b").status) == (OrderStatus.SUBMITTED, OrderStatus.FILLED)
    assert book.error(7, 202, "Order Canceled") == (ErrorEffect.WARNING, None, None)


def test_a_status_that_was_taken_for_ours_is_given_back() -> None:
    """We sent `a` as number 7; what came of 7 was another order's, as its openOrder tells."""
    book = Book()
    book.sent(blank_report("a", 7, ALL))
    book.status(status("Submitted", perm_id=901))
    book.terms(terms("b", 7, 901))
    assert book.known("a") is None
    book.terms(terms("a", 7, 900))
    book.status(status("Submitted"))
    assert (known(book, "a").perm_id, known(book, "b").perm_id) == (900, 901)


def test_both_orders_of_one_reference_count() -> None:
    book = working()
    book.terms(terms("a", 8, 901))
    book.status(status("Submitted", SOME, order_id=8, perm_id=901))
    assert [one.broker_order_id for one in book.working("a")] == [7, 8]
    report = known(book)
    assert (report.status, report.filled, report.remaining) == (OrderStatus.PARTIALLY_FILLED, 40, 160)
    book.status(status("Cancelled", order_id=7))
    assert known(book).remaining == 60
    book.status(status("Filled", ALL, order_id=8, perm_id=901))
    report = known(book)
    assert (report.status, report.filled, report.remaining, report.perm_id) == (OrderStatus.FILLED, 100, 0, 901)


def test_orders_of_others_are_left_out() -> None:
    book = Book()
    assert book.status(status("Filled", ALL)) is None
    assert list(book.orders) == []


def test_an_order_is_sent_again_with_its_id_and_stays_one() -> None:
    book = working()
    book.sent(blank_report("a", 7, ALL))
    assert len(book.working("a")) == 1


# Listings


def test_a_complete_listing_forgets_what_the_broker_did_not_mention() -> None:
    book = working()
    book.begin_listing()
    book.end_listing()
    assert book.known("a") is None
    report = book.status(status("Submitted"))  # it speaks of it after all
    assert report is not None
    assert report.order_ref == "a"


def test_a_completed_order_is_news_unless_its_end_was_told() -> None:
    done = terms().model_copy(
        update={"status": OrderStatus.FILLED, "filled": ALL, "remaining": NONE, "broker_order_id": 0}
    )
    report = working().completed(done)
    assert report is not None
    assert (report.status, report.broker_order_id) == (OrderStatus.FILLED, 7)
    book = working()
    book.status(status("Filled", ALL))
    assert book.completed(done) is None
    report = Book().completed(done)
    assert report is not None
    assert report.status is OrderStatus.FILLED


# Fills


def test_an_old_status_takes_no_fills_back() -> None:
    book = working()
    book.status(status("Submitted", SOME))
    assert book.status(status("Submitted")) is None
    assert known(book).filled == SOME


def test_an_execution_alone_tells_how_much_is_filled() -> None:
    book = working()
    report = book.filled("a", 900, SOME, Decimal("10.5"))
    assert report is not None
    assert (report.status, report.filled, report.remaining) == (OrderStatus.PARTIALLY_FILLED, 40, 60)
    book.filled("a", 900, ALL, Decimal("10.5"))
    assert known(book).status is OrderStatus.FILLED


def test_a_status_has_the_last_word_after_an_execution() -> None:
    """The order was made larger, and that was heard late."""
    book = working()
    book.filled("a", 900, ALL, Decimal("10.5"))
    report = book.status(Status(7, "Submitted", ALL, ALL, Decimal("10.5"), 900))
    assert report is not None
    assert (report.status, report.remaining) == (OrderStatus.PARTIALLY_FILLED, 100)


def test_a_late_fill_of_a_cancelled_order_does_not_revive_it() -> None:
    book = working()
    book.status(status("Cancelled"))
    report = book.filled("a", 900, SOME, Decimal("10.5"))
    assert report is not None
    assert (report.status, report.filled, report.remaining) == (OrderStatus.CANCELLED, 40, 60)


def test_an_execution_of_an_unknown_order_tells_that_it_exists() -> None:
    book = Book()
    assert book.filled("a", 900, SOME, Decimal("10.5")) is None
    assert known(book).perm_id == 900


def test_one_report_for_several_orders_keeps_the_average() -> None:
    first = blank_report("a", 7, NONE).model_copy(update={"filled": SOME, "average_price": Decimal(10)})
    second = first.model_copy(update={"filled": ALL - SOME, "average_price": Decimal(20)})
    assert together([first, second]).average_price == 16


STEPS = {
    "sent": lambda book: book.sent(blank_report("a", 7, ALL)),
    "terms": lambda book: book.terms(terms()),
    "part": lambda book: book.status(status("Submitted", SOME)),
    "filled": lambda book: book.status(status("Filled", ALL)),
    "execution": lambda book: book.filled("a", 900, ALL, Decimal("10.5")),
}


@pytest.mark.parametrize("order", list(itertools.permutations(["terms", "part", "filled", "execution"])))
@pytest.mark.parametrize("sent", [True, False])
def test_callbacks_may_come_in_any_order(order: tuple[str, ...], sent: bool) -> None:
    book = Book()
    if sent:
        STEPS["sent"](book)
    for step in order:
        STEPS[step](book)
    report = known(book)
    assert (report.status, report.filled, report.remaining) == (OrderStatus.FILLED, ALL, NONE)


words = st.sampled_from(["PreSubmitted", "Submitted", "PendingCancel", "Cancelled", "Inactive", "Filled", "New"])
orders = st.sampled_from([("a", 7, 900), ("b", 7, 901), ("b", 8, 902), ("a", 9, 903)])
fills = st.sampled_from([NONE, SOME, ALL])


@given(st.lists(st.tuples(orders, words, fills, st.booleans()), max_size=12))
def test_nothing_mixes_and_no_fill_is_taken_back(steps: list[tuple[tuple[str, int, int], str, Decimal, bool]]) -> None:
    book, most = Book(), dict.fromkeys("ab", NONE)
    for (order_ref, order_id, perm_id), word, filled, named in steps:
        if named:
            book.terms(terms(order_ref, order_id, perm_id))
        told = book.status(status(word, filled, order_id=order_id, perm_id=perm_id))
        assert told is None or told.order_ref == order_ref
        for ref in "ab":
            report = book.known(ref)
            assert report is None or report.filled >= most[ref]
            most[ref] = report.filled if report else most[ref]
