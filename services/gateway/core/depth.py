"""A book as TWS tells it: rows are inserted, changed and removed by their position, each side by itself.

https://interactivebrokers.github.io/tws-api/market_depth.html: operation 0 inserts, 1 updates, 2 deletes; side 0 is
ask, 1 is bid. A position that can't be (beyond the next free row) is what is left of a lost message: it is appended
or ignored, and the next message puts it right.
"""

from typing import NamedTuple

INSERT, UPDATE, DELETE = 0, 1, 2
ASKS, BIDS = 0, 1


class Row(NamedTuple):
    price: float
    size: float
    market_maker: str


class Book:
    """`sides[ASKS]` and `sides[BIDS]`, best prices first, at most `rows` of each."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.sides: tuple[list[Row], list[Row]] = ([], [])

    def change(self, side: int, operation: int, position: int, row: Row) -> None:
        rows = self.sides[BIDS if side == BIDS else ASKS]
        if operation == DELETE:
            del rows[position : position + 1]
        elif operation == UPDATE and position < len(rows):
            rows[position] = row
        else:
            rows.insert(position, row)
            del rows[self._rows :]

    def clear(self) -> None:
        for rows in self.sides:
            rows.clear()
