"""What ib_async's decoder calls for each message of the broker: raw words in, facts out, in the order received.

This stands in the place of `ib_async.wrapper.Wrapper`, which is made for people: it calls a live order Cancelled on any
error code that it does not list, leaves out executions of orders it has not seen, drops a commission that precedes
its execution, and never ends a request that is refused with error 321. Source: its `Wrapper.error`, `.execDetails` and
`.commissionReport`, version 2.1.

ib_async logs and swallows exceptions of its decoder and of these methods; `listen_to` hears of them.
"""

# ruff: noqa: N802, N815 - names and arguments are those of ib_async's decoder

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ib_async.wrapper import Wrapper

from services.gateway.adapters.tws.answers import CURRENT_TIME, Answers
from services.gateway.adapters.tws.line_callbacks import LineCallbacks
from services.gateway.adapters.tws.order_callbacks import OrderCallbacks
from services.gateway.adapters.tws.quotes import Quotes
from services.gateway.adapters.tws.request_callbacks import RequestCallbacks
from services.gateway.adapters.tws.undecoded import Undecoded
from services.gateway.core.error_codes import CLIENT_ID_IN_USE, Context, effect, ends_request, meaning
from services.gateway.ports import Listener, Paced, RequestRefused
from shared.clock import Clock
from shared.messages.broker import BrokerErrorReported, ErrorEffect

EXECUTION = 11
"""The number of execDetails among the broker's messages."""


class Callbacks:
    """The state of one connection: its answers, orders, lines and requests."""

    # The decoder asks for these two: execution times without a zone are UTC (seen from gateways of 2026).
    defaultTimezone = UTC
    ib = SimpleNamespace(TimezoneTWS="UTC")

    def __init__(self, listener: Listener, clock: Clock, quotes: Quotes, client_id: int) -> None:
        self.client: Any = None
        self.answers = Answers()
        self.closed = asyncio.Event()
        self.client_id_in_use = ""
        self.listener = listener
        self.orders = OrderCallbacks(self.answers, listener, clock, client_id)
        self.lines = LineCallbacks(quotes, listener, clock)
        self.requests = RequestCallbacks(self.answers)
        self.undecoded = Undecoded(listener)
        self._clock = clock
        # the decoder looks for every callback on this one object
        for part in (self.orders, self.lines, quotes, self.requests):
            for name in vars(type(part)):
                if not name.startswith("_") and hasattr(Wrapper, name):
                    setattr(self, name, getattr(part, name))

    # The connection

    def connectAck(self) -> None: ...

    def setEventsDone(self) -> None: ...

    def connectionClosed(self) -> None:
        self.close("the connection was closed")

    def close(self, reason: str) -> None:
        self.closed.set()
        self.answers.fail(reason)
        self.orders.fail(reason)

    def listen_to(self, client: Any) -> None:
        """Be told what this client can't decode, and read the times of executions better than it does."""
        decoder = client.decoder
        decoder.logger = self.undecoded.logger
        exec_details = decoder.handlers[EXECUTION]

        def read(fields: list[str]) -> None:
            exec_details(self.orders.readable(fields))

        decoder.handlers[EXECUTION] = read

    def currentTime(self, seconds: int) -> None:
        now = datetime.fromtimestamp(seconds, UTC)
        self._clock.observe(now)
        self.answers.add(CURRENT_TIME, now)
        self.answers.done(CURRENT_TIME)

    def error(self, request_id: int, code: int, text: str, advanced: str) -> None:
        if code == CLIENT_ID_IN_USE:
            self.client_id_in_use = f"{code} {text}"
            return
        if self.lines.expected(request_id, code):
            return
        reason = f"{text or meaning(code)} {advanced}".strip()
        in_request = effect(code, text, Context.REQUEST)
        if ends_request(code, text):
            refusal = Paced if in_request is ErrorEffect.PACING else RequestRefused
            if self.answers.done(request_id, refusal(f"{code} {reason}", code)):
                return
        found, order_ref, report = self.orders.refused(request_id, code, reason)
        symbol = None if order_ref else self.lines.refused(request_id, code)
        if symbol is not None:
            found = in_request
        self.listener.heard(
            BrokerErrorReported(code=code, text=reason, effect=found, order_ref=order_ref, symbol=symbol)
        )
        if report is not None:
            self.listener.heard(report)

    def tcpDataProcessed(self) -> None:
        self.lines.processed()
