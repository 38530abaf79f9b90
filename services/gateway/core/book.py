"""What the broker has told about orders since this connection began.

Invariants:
1. Only the broker's own words change an order here; an error changes one only when it refuses a new order or says
   that the order is cancelled.
2. A listing (open and completed orders) that was answered completely replaces what was known before it, so what the
   broker has forgotten is not reported as alive.
3. Messages may come in any order: a status that names no order known yet waits for the message that tells whose it is.
4. What is filled never becomes less: a status with fewer fills than were heard of is an old one.
5. Orders without an orderRef are not ours and are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.gateway.core.error_codes import Context, effect
from services.gateway.core.incarnations import Incarnation, Incarnations
from shared.messages.broker import ErrorEffect, OrderReported
from shared.types import OrderStatus

ZERO = Decimal(0)
_WORKING = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel"})
_FINAL = {
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "ApiCancelled": OrderStatus.CANCELLED,
    "Inactive": OrderStatus.REJECTED,
}
NO_REASON = "the broker made the order inactive and gave no reason"


@dataclass(frozen=True, slots=True)
class Status:
    """One orderStatus. Quantities in shares, contracts or units of a combination."""

    order_id: int
    word: str
    filled: Decimal
    remaining: Decimal
    average_price: Decimal | None
    perm_id: int


class Book:
    """Orders by orderRef."""

    def __init__(self) -> None:
        self.incarnations = Incarnations()
        self._early: dict[int, Status] = {}

    # Listings

    def begin_listing(self) -> None:
        for one in self.incarnations:
            one.listed = False

    def end_listing(self) -> None:
        """The broker's answers are complete: what it did not mention, it does not know."""
        for one in self.incarnations:
            one.acknowledged &= one.listed

    @property
    def orders(self) -> Sequence[OrderReported]:
        """What the broker knows, one report for each orderRef; those only sent are left out."""
        known = (self.known(order_ref) for order_ref in self.incarnations.references())
        return [report for report in known if report is not None]

    def known(self, order_ref: str) -> OrderReported | None:
        """The broker's last word on an order; None for one that was only sent."""
        told = [one for one in self.incarnations.of(order_ref) if one.acknowledged]
        return together([one.report for one in told]) if told else None

    def working(self, order_ref: str) -> Sequence[OrderReported]:
        """Every order at the broker that bears this orderRef and may still fill."""
        return [one.report for one in self.incarnations.of(order_ref) if one.acknowledged and one.works]

    # Orders

    def sent(self, report: OrderReported) -> None:
        """An order is on its way to the broker, which has not said a word about it; also one that is sent again."""
        ids = (one.report.broker_order_id for one in self.incarnations.of(report.order_ref))
        if report.broker_order_id not in ids:
            self.incarnations.add(report)

    def asked(self, order_ref: str, context: Context) -> None:
        """A change or a cancel is on its way."""
        for one in self.incarnations.of(order_ref):
            one.asked = context
            one.refusal = ""

    def terms(self, report: OrderReported) -> OrderReported | None:
        """The broker tells an order's terms (openOrder); the order's state if it was told before."""
        one = self._told(report)
        if one.asked is Context.CHANGE:
            one.asked = None
        update: dict[str, object] = {"limit_price": report.limit_price, "trigger_price": report.trigger_price}
        if one.report.status is OrderStatus.UNKNOWN:
            update["remaining"] = report.remaining - one.report.filled
        one.report = one.report.model_copy(update=update)
        return self._waited(one)

    def status(self, told: Status) -> OrderReported | None:
        """The broker tells an order's state (orderStatus); None for an old one, and while nobody knows whose it is."""
        one = self.incarnations.named(told.order_id, told.perm_id)
        if one is None:
            self._early[told.perm_id] = told
            return None
        one.acknowledged = one.listed = True
        known, state = one.report, order_status(told.word, told.filled)
        if state is OrderStatus.UNKNOWN:
            state = known.status  # a new word changes nothing
        if told.filled < known.filled or (known.status is OrderStatus.FILLED and not one.inferred):
            return None
        one.inferred = False
        if state is OrderStatus.CANCELLED and not told.filled and (one.refusal or _is_rejected(known)):
            state = OrderStatus.REJECTED  # a rejection can end as Inactive or as Cancelled
        reason = None
        if state.is_final and state is not OrderStatus.FILLED:
            reason = one.refusal or known.reason or (NO_REASON if state is OrderStatus.REJECTED else None)
        elif not state.is_final:
            one.refusal = ""
        update = {
            "status": state,
            "filled": told.filled,
            "remaining": told.remaining,
            "average_price": told.average_price if told.filled else None,
            "reason": reason,
        }
        one.report = known.model_copy(update=update)
        return self.known(known.order_ref)

    def completed(self, report: OrderReported) -> OrderReported | None:
        """The broker lists an order that is done; None when its end was told already, with more detail."""
        one = self._told(blank_report(report.order_ref, 0, report.remaining, report.perm_id))
        if not one.works:
            return None
        ids = {"broker_order_id": one.report.broker_order_id, "perm_id": one.report.perm_id}
        reason = one.refusal or report.reason
        one.report = report.model_copy(update={**ids, "reason": reason})
        return self.known(report.order_ref)

    def error(self, order_id: int, code: int, text: str) -> tuple[ErrorEffect, str | None, OrderReported | None]:
        """An error or notice: its effect, the orderRef it names, and the order's new state if it has one."""
        one = self.incarnations.named(order_id, 0)
        if one is None:
            return effect(code, text, Context.NOTHING), None, None
        found, known, reason = effect(code, text, one.context), one.report, f"{code} {text}"
        new = one.context is Context.NEW_ORDER
        if found in (ErrorEffect.STILL_ALIVE, ErrorEffect.ORDER_CANCELLED):
            one.asked = None
        elif found is ErrorEffect.WARNING and effect(code, text, Context.NEW_ORDER) is ErrorEffect.ORDER_REJECTED:
            one.refusal = reason  # out of the blue: the order's status will tell, and this is why
        if known.status is OrderStatus.FILLED:
            return found, known.order_ref, None
        if found is ErrorEffect.ORDER_REJECTED:
            return found, known.order_ref, self._end(one, OrderStatus.REJECTED, reason)
        if found is ErrorEffect.ORDER_CANCELLED and not _is_rejected(known):
            return found, known.order_ref, self._end(one, OrderStatus.CANCELLED, reason)
        if found is ErrorEffect.UNKNOWN and new:
            return found, known.order_ref, known.model_copy(update={"reason": reason})
        return found, known.order_ref, None

    def _end(self, one: Incarnation, status: OrderStatus, reason: str) -> OrderReported:
        one.acknowledged = one.listed = True
        one.report = one.report.model_copy(update={"status": status, "reason": reason})
        return self.known(one.report.order_ref) or one.report

    def _told(self, report: OrderReported) -> Incarnation:
        one = self.incarnations.told(report)
        one.acknowledged = one.listed = True
        return one

    def _waited(self, one: Incarnation) -> OrderReported | None:
        """A status that came before anybody knew whose it was."""
        early = self._early.pop(one.report.perm_id, None)
        return None if early is None else self.status(early)

    def filled(
        self, order_ref: str, perm_id: int, filled: Decimal, average_price: Decimal | None
    ) -> OrderReported | None:
        """An execution tells how much of its order is filled in all, and so also that the order exists.

        A status mostly follows and has the last word; where it is lost, this is all that is heard. Nothing follows for
        an order whose size is not known, nor from a `filled` of 0 (a leg of a combination, which tells of the leg).
        """
        one = self._told(blank_report(order_ref, 0, ZERO, perm_id))
        waited = self._waited(one)
        known = one.report
        size = known.filled + known.remaining
        if filled <= known.filled or not size:
            return waited
        one.inferred = True
        rest = known.status if known.status.is_final else OrderStatus.PARTIALLY_FILLED
        update = {
            "status": OrderStatus.FILLED if filled >= size else rest,
            "filled": filled,
            "remaining": max(size - filled, ZERO),
            "average_price": average_price,
            "reason": None if filled >= size else known.reason,
        }
        one.report = known.model_copy(update=update)
        return self.known(order_ref)


def order_status(word: str, filled: Decimal) -> OrderStatus:
    """IBKR's word for the state of an order, with what is filled so far, as ours; UNKNOWN for a new word.

    Inactive means received, and refused by IBKR or the exchange; with fills, that the rest will not fill. Source:
    https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/#order-status
    """
    if word in _WORKING:
        return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.SUBMITTED
    state = _FINAL.get(word, OrderStatus.UNKNOWN)
    return OrderStatus.CANCELLED if state is OrderStatus.REJECTED and filled else state


def together(reports: Sequence[OrderReported]) -> OrderReported:
    """One report for all orders at the broker that bear the same orderRef: mostly there is one."""
    if len(reports) == 1:
        return reports[0]
    working = [report for report in reports if not report.status.is_final]
    shown = (working or [report for report in reports if report.filled] or reports)[-1]
    filled = sum((report.filled for report in reports), ZERO)
    paid = sum((report.filled * (report.average_price or ZERO) for report in reports), ZERO)
    status = shown.status
    if working and filled:
        status = OrderStatus.PARTIALLY_FILLED
    reason = shown.reason
    if len(working) > 1:
        reason = f"{len(working)} orders work at the broker: permIds {[report.perm_id for report in working]}"
    return shown.model_copy(
        update={
            "status": status,
            "filled": filled,
            "remaining": sum((report.remaining for report in working), ZERO) if working else shown.remaining,
            "average_price": paid / filled if filled else None,
            "reason": reason,
        }
    )


def blank_report(order_ref: str, broker_order_id: int, quantity: Decimal, perm_id: int = 0) -> OrderReported:
    """An order of which nothing is known but its size in shares."""
    return OrderReported(
        order_ref=order_ref,
        status=OrderStatus.UNKNOWN,
        filled=ZERO,
        remaining=quantity,
        average_price=None,
        limit_price=None,
        broker_order_id=broker_order_id,
        perm_id=perm_id,
    )


def _is_rejected(report: OrderReported) -> bool:
    return report.status is OrderStatus.REJECTED
