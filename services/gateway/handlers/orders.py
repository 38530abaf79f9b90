"""Order commands -> the broker.

Orders are sent in the order of their commands; cancels, changes, previews and snapshots go in lanes of their own and
overtake orders that wait for a READY session, the message budget or a contract. A command that can't be carried out
now is postponed: it comes back when the session is there. Nothing here waits for the broker's word on a new order:
`services.gateway.settling` does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog
from prometheus_client import Counter

from services.gateway.claims import Claims, rows
from services.gateway.config import Settings
from services.gateway.core.price_increments import fault
from services.gateway.core.verdicts import Claim, Verdict
from services.gateway.core.words import own_word, says_already, silence
from services.gateway.ports import BrokerLost, RequestRefused
from services.gateway.publisher import SOURCE, subject
from services.gateway.session import Session
from services.gateway.settling import Settling
from services.gateway.submissions import Submission, Submissions
from shared.clock import Clock
from shared.db.store import Row
from shared.messages.base import Envelope, Message, follow
from shared.messages.broker import BrokerErrorReported, ErrorEffect, OrderPreviewed, OrderReported
from shared.messages.broker_commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    OrderTerms,
    PreviewOrder,
    RequestSnapshot,
    SubmitOrder,
)
from shared.reader import Postponed
from shared.transactor import Effects, Transactor
from shared.types import OrderStatus as S

ORDERS_SENT = Counter("millrace_gateway_order_requests_total", "Order requests sent to the broker", ["kind"])
ZERO = Decimal(0)
_NEED_A_LINK = (CancelOrder, CancelAllOrders, RequestSnapshot)  # and no more; the rest needs a READY session
_log = structlog.get_logger()


class OrderHandlers:
    def __init__(
        self,
        session: Session,
        transactor: Transactor,
        settings: Settings,
        clock: Clock,
        claims: Mapping[str, Claim],
    ) -> None:
        self._session = session
        self._broker = session.broker
        self._transactor = transactor
        self._timeout = settings.order_timeout_seconds
        self._clock = clock
        self._claims = Claims(claims)
        self._submissions = Submissions()
        self.settling = Settling(session, transactor, settings, clock, self._claims)

    def lane(self, command: Envelope[Any]) -> str:
        """The lane of a command. Called in the order of the stream, so from here on a cancel finds what precedes it."""
        match command.data:
            case SubmitOrder(orders=orders):
                if not self._transactor.store.seen(command.id):
                    self._submissions.read(command.id, orders)
                    self.settling.sends_again(order.order_ref for order in orders)
            case ModifyOrder(order_ref=order_ref) | CancelOrder(order_ref=order_ref):
                return f"{command.type} {order_ref}"
            case _:
                pass
        return command.type

    async def on_broker_command(self, command: Envelope[Any]) -> Effects:
        """Carry a command out. Raises Postponed where that has to wait for the session."""
        gate = self._session.linked if isinstance(command.data, _NEED_A_LINK) else self._session.ready
        connection = self._broker.closed
        try:
            return await self._handle(command, gate)
        except BrokerLost as error:
            _log.warning("waiting for the broker", command=command.type, reason=str(error))
            self._session.give_up(connection)
            raise Postponed(gate) from error

    async def _handle(self, command: Envelope[Any], gate: asyncio.Event) -> Effects:
        match command.data:
            case SubmitOrder():
                return await self._submit(command, gate)
            case ModifyOrder():
                answer = await self._modify(command.data, gate)
            case CancelOrder():
                answer = await self._cancel(command, command.data.order_ref, gate)
            case CancelAllOrders():
                answer = await self._cancel_all(command, gate)
            case PreviewOrder():
                answer = await self._preview(command.data.order, gate)
            case RequestSnapshot():
                answer = await self._snapshot(command, gate)
            case _:
                raise TypeError(f"broker.commands carries no {command.type}")
        return Effects(messages=[self._answer(command, answer)] if answer else [])

    def _answer(self, command: Envelope[Any], message: Message, key: str = "") -> Envelope[Any]:
        return follow(command, message, source=SOURCE, time=self._clock.now(), subject=subject(message), key=key)

    def _words(self, command: Envelope[Any], reports: Sequence[OrderReported], changed: Sequence[Row] = ()) -> Effects:
        return Effects(changed, [self._answer(command, report, report.order_ref) for report in reports])

    # New orders

    async def _submit(self, command: Envelope[SubmitOrder], gate: asyncio.Event) -> Effects:
        submission = self._submissions.of(command.id, command.data.orders)
        effects = await self._send(command, submission, gate)
        self.settling.sent(self._undecided(submission))
        self._submissions.end(submission)
        return effects

    async def _send(self, command: Envelope[SubmitOrder], submission: Submission, gate: asyncio.Event) -> Effects:
        """Send orders once.

        Their claims are committed before a byte is sent. Where there are claims, an earlier attempt may have sent
        them, so the broker is asked first: the session has just listed all it knows. Should that still be wrong, the
        same order ids make a second order impossible: IBKR refuses an id that was used
        (https://interactivebrokers.github.io/tws-api/order_submission.html).
        """
        known = [claim for order_ref in submission.order_refs if (claim := self._claims.get(order_ref))]
        submission.drop([claim.order_ref for claim in known if claim.verdict is Verdict.NEVER_SENT])
        claimed = [claim for claim in known if claim.verdict is not Verdict.NEVER_SENT]
        if not (orders := submission.left()):
            return Effects()
        expires_at = command.data.expires_at
        late = self._clock.now() >= expires_at
        if late and not claimed:
            reason = f"expired at {expires_at.isoformat()}"
            return self._never_sent(command, orders, S.EXPIRED, reason)
        _needs(gate)
        if any(self._is_sent(claim) for claim in claimed):
            _log.info("sent before", order_refs=submission.order_refs)
            return Effects()
        if late:
            return Effects()  # perhaps an earlier attempt sent it
        try:
            if not claimed:
                await self._check(orders)
                await self._claim(submission.left())
            await submission.send(self._write)
        except RequestRefused as error:
            return self._never_sent(command, submission.left(), S.REJECTED, str(error))
        return Effects()

    async def _check(self, orders: Sequence[OrderTerms]) -> None:
        """Refuse what IBKR would refuse for its price or size. Raises RequestRefused."""
        for order in orders:
            if not order.legs and (found := fault(await self._broker.requests.contract(order.symbol), order)):
                raise RequestRefused(f"{order.order_ref}: {found}")

    def _is_sent(self, claim: Claim) -> bool:
        """Whether the broker has it, or had it, or is about to be asked why it says nothing of it."""
        decided = claim.verdict in (Verdict.ANSWERED, Verdict.LOST)
        return decided or self.settling.awaits(claim.order_ref) or self._known(claim.order_ref) is not None

    def _undecided(self, submission: Submission) -> list[str]:
        """Those that the broker may have, and has not said a word on, and that nobody looks after yet."""
        found = [self._claims.get(order_ref) for order_ref in submission.order_refs]
        undecided = [claim.order_ref for claim in found if claim is not None and claim.verdict is None]
        return [order_ref for order_ref in undecided if not self.settling.awaits(order_ref)]

    async def _claim(self, orders: Sequence[OrderTerms]) -> None:
        claims = self._claims.reserve(orders, self._broker.orders.next_order_id(), self._clock.now())
        self._claims.put(claims)
        await self._transactor.perform(Effects(rows(claims)))

    async def _write(self, orders: Sequence[OrderTerms]) -> None:
        claims = [self._claims.get(order.order_ref) for order in orders]
        ids = {claim.order_ref: claim.broker_order_id for claim in claims if claim and claim.broker_order_id}
        ORDERS_SENT.labels("submit").inc()
        await self._broker.orders.submit(orders, ids, self._session.account)

    def _never_sent(self, command: Envelope[Any], orders: Sequence[OrderTerms], status: S, reason: str) -> Effects:
        """Report orders of which no byte was written, and none will be; it is kept, for who cancels them later."""
        self._claims.put([self._unsent(order) for order in orders])
        decided = [self.settling.decide(order.order_ref, Verdict.NEVER_SENT) for order in orders]
        return self._words(command, [own_word(claim, status, reason) for claim in decided], rows(decided))

    def _unsent(self, order: OrderTerms) -> Claim:
        """An order's claim; one without an id where it has none."""
        claim = self._claims.get(order.order_ref)
        return claim or Claim(order.order_ref, None, order.symbol, order.quantity, self._clock.now())

    # Changes and cancels

    def _known(self, order_ref: str) -> OrderReported | None:
        return self._broker.orders.known(order_ref)

    async def _modify(self, change: ModifyOrder, gate: asyncio.Event) -> Message | None:
        if (submission := self._submissions.get(change.order_ref)) is not None:
            raise Postponed(submission.done)
        _needs(gate)
        try:
            if self._known(change.order_ref) is None and self.settling.awaits(change.order_ref):
                await self._word(self._broker.orders.answered(change.order_ref))
            known = self._known(change.order_ref)
            if known is None or known.status.is_final or says_already(change, known):
                return known or self._unknown(change.order_ref)
            await self._check_change(change)
            word = self._broker.orders.answered(change.order_ref)
            await self._broker.orders.modify(change)
            ORDERS_SENT.labels("modify").inc()
            return None if await self._word(word) else silence(change.order_ref, "a change")
        except RequestRefused as error:
            text = f"order {change.order_ref} was not changed: {error}"
            return BrokerErrorReported(
                code=error.code, text=text, effect=ErrorEffect.STILL_ALIVE, order_ref=change.order_ref
            )

    async def _check_change(self, change: ModifyOrder) -> None:
        """As `_check`; combinations, which have a net price, have no increments of their own."""
        claim = self._claims.get(change.order_ref)
        priced = change.limit_price is not None or change.trigger_price is not None
        if claim and priced and (found := fault(await self._broker.requests.contract(claim.symbol), change)):
            raise RequestRefused(found)

    async def _cancel(self, command: Envelope[Any], order_ref: str, gate: asyncio.Event) -> Message | None:
        await self._withdraw(command, [order_ref])
        claim = self._claims.get(order_ref)
        if claim is not None and claim.verdict is Verdict.NEVER_SENT:
            return None  # it was reported when it was withdrawn or refused
        _needs(gate)
        try:
            known = self._known(order_ref)
            if known is not None and known.status.is_final:
                return known
            order_id = (claim and claim.broker_order_id) or (known and known.broker_order_id)
            if not order_id:
                return self._unknown(order_ref)
            word = self._broker.orders.answered(order_ref)
            await self._broker.orders.cancel(order_ref, order_id)
            ORDERS_SENT.labels("cancel").inc()
            return None if await self._word(word) else silence(order_ref, "a cancel")
        except RequestRefused as error:
            return BrokerErrorReported(
                code=error.code, text=str(error), effect=ErrorEffect.STILL_ALIVE, order_ref=order_ref
            )

    async def _cancel_all(self, command: Envelope[Any], gate: asyncio.Event) -> None:
        await self._withdraw(command, [ref for one in self._submissions.all() for ref in one.order_refs])
        _needs(gate)
        await self._broker.orders.cancel_all()
        ORDERS_SENT.labels("cancel_all").inc()
        await self._broker.current_time()  # once this is answered, the broker has read what preceded it

    async def _withdraw(self, command: Envelope[Any], order_refs: Sequence[str]) -> None:
        """Keep orders from being sent of which no byte is written yet, for ever, and report them CANCELLED."""
        submissions = dict.fromkeys(filter(None, map(self._submissions.get, order_refs)))
        taken = [order for one in submissions for order in await one.withdraw(order_refs)]
        if not taken:
            return
        await self._transactor.perform(self._never_sent(command, taken, S.CANCELLED, "withdrawn before it was sent"))

    async def _word(self, answered: "asyncio.Future[None]") -> bool:
        """Wait for the broker's next word on an order; False for silence. Raises BrokerLost."""
        await asyncio.wait((answered,), timeout=self._timeout)
        return answered.done() and answered.result() is None

    def _unknown(self, order_ref: str) -> OrderReported:
        claim = self._claims.get(order_ref) or Claim(order_ref, None, "", ZERO, self._clock.now())
        return own_word(claim, S.UNKNOWN, "the broker does not know this order")

    # Questions

    async def _preview(self, order: OrderTerms, gate: asyncio.Event) -> Message:
        _needs(gate)
        try:
            return await self.preview(order)
        except RequestRefused as error:
            return OrderPreviewed(order_ref=order.order_ref, error=str(error))

    async def preview(self, order: OrderTerms) -> OrderPreviewed:
        """As `ports.Orders.preview`, under an id of its own."""
        order_id = self._claims.spare(self._broker.orders.next_order_id())
        return await self._broker.orders.preview(order, order_id, self._session.account)

    async def _snapshot(self, command: Envelope[RequestSnapshot], gate: asyncio.Event) -> None:
        """Publish everything the broker knows, at the very place among its reports where it was so."""
        _needs(gate)
        try:
            snapshot = await self._broker.snapshot(self._session.account, command.id)
        except RequestRefused as error:
            raise BrokerLost(str(error)) from error
        await self._session.publisher.answer(self._answer(command, snapshot))


def _needs(gate: asyncio.Event) -> None:
    if not gate.is_set():
        raise Postponed(gate)
