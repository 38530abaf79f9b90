"""A book by position, as TWS tells it."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.depth import ASKS, BIDS, DELETE, INSERT, UPDATE, Book, Row


def row(price: float) -> Row:
    return Row(price, 100, "NSDQ")


def prices(book: Book, side: int) -> list[float]:
    return [one.price for one in book.sides[side]]


def test_rows_are_inserted_changed_and_removed_by_position() -> None:
    book = Book(rows=10)
    for position, price in enumerate((10.3, 10.2, 10.0)):
        book.change(BIDS, INSERT, position, row(price))
    book.change(BIDS, INSERT, 2, row(10.1))
    assert prices(book, BIDS) == [10.3, 10.2, 10.1, 10.0]
    book.change(BIDS, DELETE, 0, row(0))
    book.change(BIDS, UPDATE, 0, row(10.25))
    assert prices(book, BIDS) == [10.25, 10.1, 10.0]
    assert prices(book, ASKS) == []
    book.change(ASKS, INSERT, 0, row(10.4))
    assert prices(book, ASKS) == [10.4]
    book.clear()
    assert book.sides == ([], [])


def test_an_update_of_a_row_that_is_not_there_adds_it_and_no_side_grows_beyond_its_rows() -> None:
    book = Book(rows=2)
    book.change(ASKS, UPDATE, 7, row(1))
    assert prices(book, ASKS) == [1]
    for price in (2, 3, 4):
        book.change(ASKS, INSERT, 0, row(price))
    assert prices(book, ASKS) == [4, 3]
    book.change(ASKS, DELETE, 5, row(0))
    assert prices(book, ASKS) == [4, 3]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 12), st.floats(0, 10)), max_size=60))
def test_no_message_breaks_the_book(changes: list[tuple[int, int, int, float]]) -> None:
    book = Book(rows=5)
    for side, operation, position, price in changes:
        book.change(side, operation, position, row(price))
        assert max(len(rows) for rows in book.sides) <= 5
