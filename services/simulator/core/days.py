"""What the calendar does without any order: days begin, nights pass.

Assumption: in the night in which a stock splits all orders on it and on its options are cancelled.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from services.simulator.core.book import OrderBook
from services.simulator.core.corporate import Overnight, next_night
from services.simulator.core.ledger import Ledger
from services.simulator.core.orders import Event, Order
from services.simulator.core.tape import Prices
from services.simulator.core.valuation import end_of_day, mark, value

_INSTANT = timedelta(microseconds=1)


class Desk(Protocol):
    def cancel(self, order: Order, reason: str = "") -> None: ...

    def tell(self, event: Event) -> None: ...


class Days:
    def __init__(self, prices: Prices, ledger: Ledger, overnight: Overnight, book: OrderBook, desk: Desk) -> None:
        self._prices = prices
        self._ledger = ledger
        self._overnight = overnight
        self._book = book
        self._desk = desk
        self._begun = 0
        """How many sessions of the main exchange have begun."""

    def next(self, now: datetime, until: datetime) -> tuple[datetime, Callable[[datetime], None]] | None:
        """Return the next thing that happens after `now` and not later than `until`, and its time."""
        night = next_night(now)
        sessions = self._prices.sessions
        opens = sessions[self._begun].open if self._begun < len(sessions) else None
        if opens is not None and opens <= until and opens <= night:
            return opens, self._begin_session
        return (night, self._pass_night) if night <= until else None

    def next_close(self, now: datetime) -> datetime | None:
        """Return when the main exchange's session that is running or next ends, None after the last one."""
        return next((session.close for session in self._prices.sessions if session.close > now), None)

    def _begin_session(self, opens: datetime) -> None:
        """Make what the accounts were worth just before the open the base of the day's profit."""
        self._begun += 1
        before = opens - _INSTANT
        for account in self._ledger.accounts.values():
            worth = value(account, self._prices.instrument, lambda item: mark(self._prices, item, before))
            end_of_day(account, worth)

    def _pass_night(self, night: datetime) -> None:
        for order in self._book.live():
            contracts = [leg.contract_id for leg in order.request.legs] or [order.request.contract_id]
            stocks = [self._prices.instrument(item).underlying_id or item for item in contracts]
            if self._overnight.splits(stocks, night):
                self._desk.cancel(order, "The stock splits")
        for moved in self._overnight.apply(night, self._ledger.accounts.values()):
            self._desk.tell(moved)
