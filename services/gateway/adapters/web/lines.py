"""Streams of quotes over the Web API."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import orjson

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.quotes import AVAILABILITY, FIELDS, OPTION_FIELDS, Line, Quotes
from services.gateway.adapters.web.session import Session
from services.gateway.ports import Unsupported
from shared import instruments
from shared.clock import Clock
from shared.messages.broker import BrokerErrorReported, ErrorEffect
from shared.messages.market import Quote
from shared.messages.market_requests import Feed
from shared.types import SecurityType

RENEW_SECONDS = 540.0
"""IBKR ends a stream of quotes after ten minutes unless it is asked for again."""
_NOT_SUBSCRIBED = 354


class Lines:
    """Implements `ports.Lines`."""

    def __init__(self, connection: Connection, contracts: Contracts, clock: Clock, *, broker_time: bool) -> None:
        self._connection = connection
        self._contracts = contracts
        self._clock = clock
        self._broker_time = broker_time
        self._quotes = Quotes(clock.now, broker_time=broker_time)
        self._opening = asyncio.Lock()
        self._session: Session | None = None

    def begin(self, session: Session) -> None:
        """A new connection: it has no streams."""
        self._session = session
        quotes = self._quotes = Quotes(self._clock.now, broker_time=self._broker_time)

        def heard(told: dict[str, Any]) -> None:
            line = quotes.heard(told, time.monotonic())
            if line is None:
                return
            if self._broker_time and line.time is not None:
                self._clock.observe(line.time)
            if session.competing:
                return  # nothing is streamed to us, and the line is there again afterwards
            if AVAILABILITY in told and convert.quality(told[AVAILABILITY]) is None:
                self._refused(session, line, f"field {AVAILABILITY} says {told[AVAILABILITY]!r}: not subscribed")
            elif "error" in told:
                self._refused(session, line, str(told["error"]))
            if quotes.changed:
                session.listener.quotes_changed()

        session.quick["smd"] = heard

    def _refused(self, session: Session, line: Line, why: str) -> None:
        """IBKR does not stream this: there is no such line any more."""
        self._quotes.close(line.symbol)
        session.listener.heard(
            BrokerErrorReported(code=_NOT_SUBSCRIBED, text=why, effect=ErrorEffect.DATA, symbol=line.symbol)
        )

    async def open(self, symbol: str, feed: Feed) -> None:
        if feed is not Feed.QUOTES:
            raise Unsupported(f"feed = {feed} is not there over the Web API, only {Feed.QUOTES}; use adapter = tws")
        contract = await self._contracts.find(symbol)
        async with self._opening:
            session = self._connection.session
            if self._quotes.line(symbol) is None:
                line = Line(instruments.parse(symbol), contract.contract_id, time.monotonic())
                self._quotes.open(line)
                _subscribe(session, line)

    async def close(self, symbol: str, feed: Feed) -> None:
        session = self._connection.session
        if feed is Feed.QUOTES and (line := self._quotes.close(symbol)) is not None:
            _unsubscribe(session, line)

    async def reopen(self, symbol: str, feed: Feed) -> None:
        session = self._connection.session
        if feed is Feed.QUOTES and (line := self._quotes.line(symbol)) is not None:
            self._quotes.mark_stale(symbol)
            _unsubscribe(session, line)
            _subscribe(session, line)

    def opened(self) -> frozenset[tuple[str, Feed]]:
        return frozenset((line.symbol, Feed.QUOTES) for line in self._quotes.lines())

    def heard_at(self, symbol: str, feed: Feed) -> float | None:
        line = self._quotes.line(symbol)
        if line is None or feed is not Feed.QUOTES or (self._session is not None and self._session.competing):
            return None
        return line.heard_at

    def complete(self, symbol: str) -> bool:
        return self._quotes.complete(symbol)

    def mark_stale(self, symbol: str) -> None:
        self._quotes.mark_stale(symbol)

    def take_quotes(self, now: float) -> Sequence[Quote]:
        self._renew(now)
        return self._quotes.take(now)

    def _renew(self, now: float) -> None:
        """Ask again for the streams that IBKR is about to end."""
        if self._connection.closed.is_set():
            return
        for line in self._quotes.lines():
            if now - line.opened_at >= RENEW_SECONDS:
                _subscribe(self._connection.session, line)
                line.opened_at = now


def _subscribe(session: Session, line: Line) -> None:
    option = line.instrument.security_type is SecurityType.OPTION
    fields = orjson.dumps({"fields": OPTION_FIELDS if option else FIELDS}).decode()
    session.stream.send(f"smd+{line.contract_id}+{fields}")


def _unsubscribe(session: Session, line: Line) -> None:
    session.stream.send(f"umd+{line.contract_id}+{{}}")
