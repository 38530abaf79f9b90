"""What is in the books besides orders and positions, and what one message changes in them."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from services.execution.core.order import Order
from services.execution.core.position import Position
from shared.messages.base import Message
from shared.types import Side


class Fill(NamedTuple):
    """One booked execution; the columns of `fills`. `commission` is None until the broker has reported it.

    `price` is in USD per share; of `multiplier` shares to a contract. `corrects` names the fill that this one replaces;
    that one's row stays, and no longer counts. `realised` counts for both.
    """

    execution_id: str
    order_ref: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    commission: Decimal | None
    time: datetime
    multiplier: Decimal = Decimal(1)
    corrects: str | None = None


class Account(NamedTuple):
    """The columns of `accounts`."""

    account: str
    start_cash: Decimal
    net_liquidation: Decimal
    cash: Decimal
    reported_at: datetime


class Change:
    """What one message did: the rows that are different now, and what to say (message, key of its id)."""

    __slots__ = ("account", "fills", "messages", "orders", "positions")

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, Fill] = {}
        self.positions: dict[str, Position] = {}
        self.account: Account | None = None
        self.messages: list[tuple[Message, str]] = []

    def say(self, message: Message, key: str) -> None:
        self.messages.append((message, key))
