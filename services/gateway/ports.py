"""What the gateway needs of a broker. All values are ours: Decimal, aware times, None for what is not set."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from services.gateway.core.order_ids import BracketIds
from shared.messages.base import Message
from shared.messages.broker import BrokerSnapshot, OrderReported, SubmitOrder
from shared.messages.market import Bar, Quote
from shared.types import Timeframe


class BrokerLost(RuntimeError):  # noqa: N818 - it says what happened
    """The connection is gone, or the broker owes an answer for too long. What it knows is not known to us."""


class RequestRefused(RuntimeError):  # noqa: N818 - it says what happened
    """The broker answered a request with an error; the text says which and why."""


class Listener(Protocol):
    """Hears what the broker says, in the order it says it. Called from the connection's reader: must not block."""

    def heard(self, message: Message) -> None: ...

    def quotes_changed(self) -> None:
        """Some quotes are newer than what `take_quotes` last returned."""
        ...


class Broker(Protocol):
    """One connection at a time. Every method but `connect` raises BrokerLost when there is none."""

    @property
    def closed(self) -> asyncio.Event:
        """Set once the present connection is gone."""
        ...

    async def connect(self, listener: Listener) -> Sequence[str]:
        """Connect and shake hands; returns the accounts of the login. Nothing is asked of the broker yet.

        Raises:
            BrokerLost: it could not be done; the text says why.
        """
        ...

    def disconnect(self) -> None: ...

    async def current_time(self) -> datetime:
        """The broker's time by a round trip: all it had said before its answer has been heard when this returns."""
        ...

    async def snapshot(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        """Ask for everything. Raises RequestRefused; never takes silence for an empty answer."""
        ...

    async def subscribe(self, symbols: Iterable[str]) -> None:
        """Stream quotes of these symbols on this connection. A refused symbol is heard as an error."""
        ...

    def take_quotes(self, now: float) -> Sequence[Quote]:
        """The next batch; `now` is in seconds of any clock that only rises."""
        ...

    async def qualify(self, symbol: str) -> None:
        """Make sure that the broker has exactly one US stock of this name. Raises RequestRefused."""
        ...

    async def history(self, symbol: str, timeframe: Timeframe, count: int, until: datetime) -> Sequence[Bar]:
        """The newest `count` bars in regular trading hours that are closed at `until`. Raises RequestRefused."""
        ...

    def next_order_id(self) -> int:
        """The lowest order id that is free on this connection."""
        ...

    def known(self, order_ref: str) -> OrderReported | None:
        """The broker's last word on an order, None when it has said nothing about it on this connection."""
        ...

    async def submit(self, order: SubmitOrder, ids: BracketIds, account: str) -> bool:
        """Send a bracket: entry, stop, target; the last transmits all. The symbol must be qualified.

        Returns False when the broker said nothing about the entry in time, as `modify` and `cancel` do.
        """
        ...

    async def modify(self, order_ref: str, limit_price: Decimal) -> bool:
        """Change the limit price of a `known` order, and nothing else of it."""
        ...

    async def cancel(self, order_ref: str) -> bool:
        """Cancel a `known` order."""
        ...
