"""Nobody waits for the broker's first word on an order, and none is forgotten: `core.verdicts`, carried out."""

import asyncio
import time
from collections.abc import Iterable

import structlog
from prometheus_client import Counter, Gauge

from services.gateway.claims import Claims, rows
from services.gateway.config import Settings
from services.gateway.core.verdicts import Claim, Doubt, Doubts, Verdict, evidence
from services.gateway.core.words import own_word
from services.gateway.ports import BrokerLost, RequestRefused
from services.gateway.publisher import SOURCE
from services.gateway.session import Session
from shared.clock import Clock
from shared.messages.base import Message, originate
from shared.messages.broker import BrokerErrorReported, ErrorEffect, ExecutionReported, OrderReported
from shared.transactor import Effects, Transactor
from shared.types import OrderStatus

LONGEST_TICK_SECONDS = 0.5
IN_DOUBT = Gauge(
    "millrace_gateway_orders_in_doubt", "Orders that were sent and on which the broker has not said a word"
)
UNKNOWN = Gauge("millrace_gateway_orders_unknown", "Orders in doubt that have been reported UNKNOWN")
LOST = Counter("millrace_gateway_orders_lost_total", "Orders that never reached the broker")
_log = structlog.get_logger()


class Settling:
    """Hears what the broker says of orders, and asks where it says nothing."""

    def __init__(
        self, session: Session, transactor: Transactor, settings: Settings, clock: Clock, claims: Claims
    ) -> None:
        self._session = session
        self._broker = session.broker
        self._transactor = transactor
        self._clock = clock
        self._claims = claims
        self._doubts = Doubts(settings.order_timeout_seconds, settings.settle_seconds)
        self._doubts.found(claims.undecided(), time.monotonic())
        self._tick_seconds = min(LONGEST_TICK_SECONDS, settings.order_timeout_seconds, settings.settle_seconds) / 2
        self._connection = session.broker.closed
        self._unwritten: dict[str, Claim] = {}
        self._risen: set[str] = set()
        session.broker.orders.recall(claims.reported())
        session.hearers.append(self.hear)
        IN_DOUBT.set_function(lambda: len(self._doubts))
        UNKNOWN.set_function(self._doubts.unknown)

    # What happens to orders

    def sends_again(self, order_refs: Iterable[str]) -> None:
        """The command of these orders came back, and will see to them."""
        self._doubts.sends_again(order_refs)

    def sent(self, order_refs: Iterable[str]) -> None:
        """Their bytes are written, or perhaps are; the broker's word ends what begins here."""
        self._notice_connection()
        self._doubts.sent(order_refs, time.monotonic())

    def awaits(self, order_ref: str) -> bool:
        return order_ref in self._doubts

    def decide(self, order_ref: str, verdict: Verdict, reported_id: int | None = None) -> Claim:
        """The claim with its verdict; whoever calls this commits it."""
        self._doubts.answered(order_ref)
        return self._claims.decided(order_ref, verdict, reported_id)

    def hear(self, message: Message) -> None:
        match message:
            case OrderReported(status=status, order_ref=order_ref) if status is not OrderStatus.UNKNOWN:
                self._word(order_ref, message.broker_order_id)
                if not status.is_final:
                    self._rises(order_ref)
            case ExecutionReported(order_ref=order_ref):
                self._word(order_ref, 0)
            case _:
                pass

    def _word(self, order_ref: str, broker_order_id: int) -> None:
        """The broker speaks of an order. Written down with the next tick: without it we would only ask once more."""
        claim = self._claims.get(order_ref)
        if claim is None:
            return
        reported_id = None if broker_order_id in (0, claim.broker_order_id) else broker_order_id
        if claim.verdict is None or reported_id not in (None, claim.reported_id):
            self._unwritten[order_ref] = self.decide(order_ref, claim.verdict or Verdict.ANSWERED, reported_id)

    def _rises(self, order_ref: str) -> None:
        claim = self._claims.get(order_ref)
        if claim is not None and claim.verdict is Verdict.LOST:
            text = f"order {order_ref} was reported never to have reached the broker, and works there: it is cancelled"
            self._say(BrokerErrorReported(code=0, text=text, effect=ErrorEffect.UNKNOWN, order_ref=order_ref))
            self._unwritten[order_ref] = self.decide(order_ref, Verdict.ANSWERED)
            self._risen.add(order_ref)

    # The round

    async def run(self, stop: asyncio.Event) -> None:
        """Look after orders in doubt until `stop`."""
        while not stop.is_set():
            try:
                await self._tick()
            except (BrokerLost, RequestRefused) as error:
                _log.warning("orders in doubt wait for the broker", reason=str(error), orders=len(self._doubts))
            try:
                await asyncio.wait_for(stop.wait(), self._tick_seconds)
            except TimeoutError:
                continue
        await self._write_down()

    async def _tick(self) -> None:
        self._notice_connection()
        if self._session.ready.is_set():
            self._hear_known()
        await self._write_down()
        for order_ref in self._doubts.overdue(time.monotonic()):
            self._say_unknown(order_ref)
        if self._session.ready.is_set():
            for order_ref in tuple(self._risen):
                await self._cancel(order_ref)
                self._risen.discard(order_ref)
            if self._doubts.listing_due(time.monotonic()):
                await self._list()

    def _notice_connection(self) -> None:
        """Whatever was sent on a connection that is gone may not have arrived."""
        if self._broker.closed is not self._connection or self._connection.is_set():
            self._connection = self._broker.closed
            self._doubts.connection_lost()

    def _hear_known(self) -> None:
        """What the broker says in a listing is not heard one by one."""
        for order_ref in self._doubts.refs():
            if (word := self._broker.orders.known(order_ref)) is not None:
                self._word(order_ref, word.broker_order_id)
        for order_ref in self._claims.lost():
            if (word := self._broker.orders.known(order_ref)) is not None and not word.status.is_final:
                self._rises(order_ref)

    async def _write_down(self) -> None:
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, {}
            await self._transactor.perform(Effects(rows(unwritten.values())))

    async def _list(self) -> None:
        """Ask for everything the broker knows, and draw the conclusions."""
        began = time.monotonic()
        snapshot = await self._broker.snapshot(self._session.account, None)
        self._hear_known()
        for execution in snapshot.executions:
            self._word(execution.order_ref, 0)
        findings = self._doubts.listed(began)
        for order_ref in findings.unknown:
            self._say_unknown(order_ref)
        await self._report_lost(findings.lost)
        for order_ref in findings.to_cancel:
            await self._cancel(order_ref)
            self._doubts.cancelled(order_ref, time.monotonic())

    async def _cancel(self, order_ref: str) -> None:
        claim = self._claims.get(order_ref)
        if claim is not None and claim.broker_order_id is not None:
            await self._broker.orders.cancel(order_ref, claim.broker_order_id)

    def _say_unknown(self, order_ref: str) -> None:
        claim = self._claims.get(order_ref)
        if claim is not None:
            _log.warning("the broker has not answered an order", order_ref=order_ref)
            self._say(own_word(claim, OrderStatus.UNKNOWN, "the broker did not answer"))

    def _say(self, message: Message) -> None:
        self._session.publisher.say(message)

    async def _report_lost(self, lost: Iterable[Doubt]) -> None:
        for doubt in lost:
            claim = self.decide(doubt.order_ref, Verdict.LOST)
            reason = evidence(doubt, claim.broker_order_id)
            _log.error("an order is lost", order_ref=claim.order_ref, reason=reason)
            LOST.inc()
            report = originate(
                own_word(claim, OrderStatus.REJECTED, reason),
                source=SOURCE,
                time=self._clock.now(),
                subject=claim.symbol,
                key=f"lost:{claim.order_ref}",
            )
            await self._session.publisher.flush()  # UNKNOWN was said before
            await self._transactor.perform(Effects(rows([claim]), [report]))
