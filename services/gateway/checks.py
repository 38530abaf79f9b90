"""What a person should put right before it costs an order: our calendar of the exchange, and TWS's order presets.

What is found is told as an error of the broker that nobody knows the effect of, which the notifier turns into an
alert. Nothing else follows from it: the session stays as it is, and nobody waits for these questions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from uuid import uuid4

import structlog

from services.gateway.config import Settings
from services.gateway.core.calendar_check import differences
from services.gateway.core.presets import advice
from services.gateway.ports import BrokerLost, NoAnswer, RequestRefused
from services.gateway.session import Session
from shared.calendar import NEW_YORK
from shared.clock import Clock
from shared.messages.broker import BrokerErrorReported, ErrorEffect, OrderPreviewed
from shared.messages.broker_commands import OrderTerms
from shared.types import OrderType, Side

LOOK_SECONDS = 1.0
"""Between two looks whether there is something to ask."""
_log = structlog.get_logger()


class Checks:
    """`preview` asks the broker what an order would do. `run` is the one task."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        clock: Clock,
        preview: Callable[[OrderTerms], Awaitable[OrderPreviewed]],
    ) -> None:
        self._session = session
        self._settings = settings
        self._clock = clock
        self._preview = preview
        self._told: set[date | str] = set()
        self._probed = False

    async def run(self, stop: asyncio.Event) -> None:
        """Ask on every new connection, and on every new date of New York, until `stop`."""
        asked: tuple[asyncio.Event, date] | None = None
        while not stop.is_set():
            due = self._session.broker.closed, self._clock.now().astimezone(NEW_YORK).date()
            if self._session.ready.is_set() and due != asked:
                asked = due
                with suppress(BrokerLost):  # the next connection is asked
                    await self._compare_calendars()
                    await self._probe_presets()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def _compare_calendars(self) -> None:
        symbol = self._settings.calendar_symbol
        if not symbol:
            return
        try:
            facts = await self._session.broker.requests.contract(symbol)
            # another thread: the calendar takes a second to load
            found = await asyncio.to_thread(differences, facts.liquid_hours, facts.closed_days)
        except (RequestRefused, NoAnswer, ValueError) as error:
            text = f"our calendar can't be compared with the broker's hours of {symbol} (calendar_symbol): {error}"
            self._tell_once("hours", 0, text)
            return
        for day, text in found.items():
            self._tell_once(day, 0, text)

    async def _probe_presets(self) -> None:
        """Preview one order, which never reaches the market."""
        quantity, symbol = self._settings.preset_probe_quantity, self._settings.preset_probe_symbol
        if self._probed or not quantity:
            return
        order = OrderTerms(
            order_ref=f"preset-probe-{uuid4().hex[:12]}",  # the Web API may take a reference only once
            symbol=symbol,
            side=Side.BUY,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET,
        )
        try:
            answer = await self._preview(order)
            _log.info("the broker would take an order", symbol=symbol, quantity=quantity, warning=answer.warning)
        except (RequestRefused, NoAnswer) as error:
            code = error.code if isinstance(error, RequestRefused) else 0
            self._tell_once("presets", code, f"a preview of BUY {quantity} {symbol} failed: {error}; {advice(code)}")
        self._probed = True

    def _tell_once(self, subject: date | str, code: int, text: str) -> None:
        if subject not in self._told:
            self._told.add(subject)
            self._session.publisher.say(BrokerErrorReported(code=code, text=text, effect=ErrorEffect.UNKNOWN))
