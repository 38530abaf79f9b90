"""What the fast gear's compiled loop works on: arrays of records, whose fields are whole numbers of 64 bits.

Prices and money are in PRICE_UNIT. Each class below tells the fields of one kind of record; `records` makes arrays.
"""

from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray


class Rules(NamedTuple):
    """Costs and limits. A fraction has a numerator `_n` and a denominator `_d`; `sold` is what slippage leaves."""

    tick: int
    ask_n: int
    ask_d: int
    bid_n: int
    bid_d: int
    sold_n: int
    sold_d: int
    commission_per_share: int
    commission_minimum: int
    participation_n: int
    participation_d: int
    risk_n: int
    risk_d: int
    position_n: int
    position_d: int
    collar_n: int
    collar_d: int
    max_order_value: int
    max_positions: int
    max_holding_days: int
    require_stop: int


class Bar(Protocol):
    """A bar of any series. They stand one series after the other. `step` is the one at which the bar ends."""

    step: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class Intent(Protocol):
    """A signal of any lane. They stand in the order in which they are carried out. `bar` is a place among all bars,
    `last_bar` that of the last bar of its series; the rest is as in `lanes.Lane`."""

    step: int
    lane: int
    bar: int
    last_bar: int
    leaving: int
    stop: int
    target: int
    quantity: int


class Entry(Protocol):
    """An order that risk approved, and what became of it.

    `number` counts intents from 1. Bars are places among all bars; while the position is open `exit_bar` is the newest.
    `stop` and `target` are prices, 0 for none; `too_old_at` is in us since the epoch. `closed` is the place among all
    that closed, from 1. Where `quantity` is 0 nothing was bought, and what comes after it means nothing.
    """

    lane: int
    number: int
    entry_bar: int
    last_bar: int
    entry_price: int
    ordered: int
    stop: int
    target: int
    too_old_at: int
    quantity: int
    exit_bar: int
    exit_price: int
    mid_exit: int
    commission: int
    reason: int
    closed: int


class Account(Protocol):
    """Cash; what is held and what all is worth at the newest closes; that when the date began (`equity`); and how many
    positions are open, were ordered, and closed."""

    cash: int
    held: int
    worth: int
    equity: int
    open: int
    entered: int
    closed: int


T = TypeVar("T", covariant=True)


class Records(Protocol[T]):
    """An array of records, as numba sees it."""

    def __getitem__(self, place: int, /) -> T: ...

    def __len__(self) -> int: ...


Bars: TypeAlias = Records[Bar]
Intents: TypeAlias = Records[Intent]
Entries: TypeAlias = Records[Entry]


def records(kind: type[Any], count: int) -> NDArray[np.void]:
    """`count` records of a kind, all zero."""
    return np.zeros(count, dtype=[(name, np.int64) for name in kind.__annotations__])
