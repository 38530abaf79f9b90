"""What the gateway needs of a broker. All values are ours: Decimal, aware times, None for what is not set.

Two adapters implement it, `adapters.tws` (IB Gateway, TWS) and `adapters.web` (Client Portal Web API), and
tests/broker_port holds both to the same promises. What an adapter can't do it says in `Broker.lacks`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol
from uuid import UUID

from shared.messages.base import Message
from shared.messages.broker import BrokerSnapshot, OrderPreviewed, OrderReported
from shared.messages.broker_commands import ModifyOrder, OrderTerms
from shared.messages.market import Bar, NewsHeadline, Quote
from shared.messages.market_requests import ContractFacts, Feed, FetchHistory, OptionChain, ScanMarket


class BrokerLost(RuntimeError):  # noqa: N818 - it says what happened
    """The connection is gone, or the broker owes an answer for too long. What it knows is not known to us."""


class NoAnswer(BrokerLost):
    """The broker owes an answer for too long."""


class LoginAwaited(BrokerLost):
    """The gateway program answers, and has no login: somebody must confirm it on a phone."""


class ClientIdInUse(BrokerLost):
    """Another program, or a dead connection of our own, holds our client id (IBKR error 326)."""


class RequestRefused(RuntimeError):  # noqa: N818 - it says what happened
    """The broker answered a request with an error; the text says which and why. `code` is IBKR's, 0 for our own."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Paced(RequestRefused):
    """The broker was asked too much or too often, and did not carry out the request; it may be asked again later."""


class TimedOut(RequestRefused):
    """The broker did not answer this question in time, and is not expected to; the connection may be well."""


class Unsupported(RequestRefused):
    """This broker adapter can't do that; the text says what to do instead."""


class Ability(StrEnum):
    """What not every adapter can do."""

    TICK_BY_TICK = "tick_by_tick"
    DEPTH = "depth"
    FIVE_SECOND_BARS = "five_second_bars"
    NEWS = "news"
    CONDITIONS = "conditions"
    ALGORITHMS = "algorithms"
    ORDER_TYPES_BEYOND_STOPS = "order_types_beyond_stops"
    ORDER_ATTRIBUTES = "order_attributes"
    """What OrderTerms has beyond prices, parent, OCA group, all or none, and trading outside regular hours."""
    HISTORY_KINDS = "history_kinds"
    """Bars of anything but trades, and bars shorter than a minute."""


class Urgency(IntEnum):
    """Which message goes first when the broker's limit on messages is reached."""

    CANCEL = 0
    ORDER = 1
    ACCOUNT = 2
    DATA = 3


class Budget(Protocol):
    """What is left of the broker's message limit, and whether this process may send at all."""

    async def spend(self, urgency: Urgency, messages: int = 1) -> None:
        """Wait until this many messages may be sent at once; the caller then writes them without awaiting.

        Raises:
            BrokerLost: this process no longer holds the lease on the broker.
        """
        ...


class Listener(Protocol):
    """Hears what the broker says, in the order it says it. Called from the connection's reader: must not block."""

    def heard(self, message: Message) -> None: ...

    def quotes_changed(self) -> None:
        """Some quotes are newer than what `take_quotes` last returned."""
        ...


class Orders(Protocol):
    """Orders of this client. Every method but `known` and `next_order_id` raises BrokerLost without a connection."""

    def next_order_id(self) -> int:
        """The lowest order id that is free: above the broker's next valid id and above every open order's."""
        ...

    def known(self, order_ref: str) -> OrderReported | None:
        """The broker's last word on an order, None when it has said nothing about it on this connection."""
        ...

    def recall(self, ids: Mapping[int, str]) -> None:
        """What earlier processes learned: orderRef by the broker's own order id. Kept across connections.

        The TWS API tells the orderRef with every order and needs none of this; the Web API does not, for children.
        """
        ...

    def answered(self, order_ref: str) -> "asyncio.Future[None]":
        """Done when the broker next decides something about this order: its status, a fill, or an error that matters.

        Fails with BrokerLost at the end of the connection. To be called before the request is sent.
        """
        ...

    async def submit(self, orders: Sequence[OrderTerms], ids: Mapping[str, int], account: str) -> None:
        """Send orders as one: nothing works before all of them are there. Returns when their bytes are written.

        Args:
            ids: the broker's order id of each orderRef.

        Raises:
            RequestRefused: an order can't be expressed, or a contract can't be found; nothing was sent.
        """
        ...

    async def modify(self, change: ModifyOrder) -> None:
        """Change a `known` order, and nothing else of it. Raises RequestRefused as `submit` does."""
        ...

    async def cancel(self, order_ref: str, order_id: int) -> None:
        """Cancel an order, known or not: an unknown one's id is what it was sent with."""
        ...

    async def cancel_all(self) -> None: ...

    async def preview(self, order: OrderTerms, order_id: int, account: str) -> OrderPreviewed:
        """What the order would do to the margin. Raises RequestRefused, also where the broker left figures unset.

        Args:
            order_id: a free one; TWS names its answer by it.
        """
        ...


class Lines(Protocol):
    """Streams of market data. A line is one instrument's subscription; the broker's account has about 100."""

    async def open(self, symbol: str, feed: Feed) -> None:
        """Start a stream; none is started twice. What comes is heard, quotes through `take_quotes`.

        Raises:
            RequestRefused: no such contract, or the adapter lacks the feed. A later refusal is heard as an error.
        """
        ...

    async def close(self, symbol: str, feed: Feed) -> None:
        """Stop a stream; its quote is forgotten. Nothing happens where there is none."""
        ...

    async def reopen(self, symbol: str, feed: Feed) -> None:
        """Stop and start a stream that fell silent; its last quote is kept, as stale, until a newer one comes.

        Nothing happens where there is none.
        """
        ...

    def opened(self) -> frozenset[tuple[str, Feed]]:
        """The streams of this connection that the broker has not refused."""
        ...

    def heard_at(self, symbol: str, feed: Feed) -> float | None:
        """When the newest part of a stream came, in seconds of `time.monotonic`.

        None before the first, and after the broker has said that nothing will come for now (10197).
        """
        ...

    def complete(self, symbol: str) -> bool:
        """Whether bid, ask and last of a symbol were heard since its line was opened."""
        ...

    def mark_stale(self, symbol: str) -> None:
        """Label the quote of a symbol stale until the next tick."""
        ...

    def take_quotes(self, now: float) -> Sequence[Quote]:
        """The next batch; `now` is in seconds of `time.monotonic`."""
        ...


class Requests(Protocol):
    """Questions with one answer. Each raises RequestRefused and BrokerLost."""

    async def contract(self, symbol: str) -> ContractFacts:
        """What the broker knows of an instrument; kept for the day. Refuses a name that fits none or several."""
        ...

    async def option_chain(self, symbol: str) -> OptionChain: ...

    async def history(self, request: FetchHistory, until: datetime) -> Sequence[Bar]:
        """The newest `request.count` bars that are closed at `until`, oldest first; none where there are no data."""
        ...

    async def scan(self, request: ScanMarket) -> Sequence[str]: ...

    async def news(self, symbol: str, count: int) -> Sequence[NewsHeadline]: ...


class Broker(Protocol):
    """One connection at a time. Every method but `connect` raises BrokerLost when there is none."""

    @property
    def closed(self) -> asyncio.Event:
        """Set once the present connection is gone."""
        ...

    @property
    def lacks(self) -> frozenset[Ability]:
        """What this adapter can't do."""
        ...

    @property
    def orders(self) -> Orders: ...

    @property
    def lines(self) -> Lines: ...

    @property
    def requests(self) -> Requests: ...

    async def connect(self, listener: Listener) -> Sequence[str]:
        """Connect and shake hands; returns the accounts of the login. Nothing is asked of the broker yet.

        Raises:
            ClientIdInUse: another connection has our client id.
            LoginAwaited: the gateway program answers, but nobody is logged in.
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
