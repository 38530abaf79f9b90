"""What is in the books besides orders and positions, and what one message changes in them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.execution.core.order import Order
from services.execution.core.position import Position
from shared.messages.base import Message
from shared.types import Side


@dataclass(frozen=True, slots=True)
class Fill:
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


@dataclass(frozen=True, slots=True)
class Account:
    """The columns of `accounts`."""

    account: str
    start_cash: Decimal
    net_liquidation: Decimal
    cash: Decimal
    reported_at: datetime


@dataclass
class Change:
    """What one message did: the rows that are different now, and what to say (message, key of its id)."""

    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    fills: dict[str, Fill] = field(default_factory=dict[str, Fill])
    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    account: Account | None = None
    messages: list[tuple[Message, str]] = field(default_factory=list[tuple[Message, str]])

    def say(self, message: Message, key: str) -> None:
        self.messages.append((message, key))
