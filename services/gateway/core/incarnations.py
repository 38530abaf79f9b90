"""Which order of the broker is meant: by permId where there is one, by order id only where that is beyond doubt.

An order id names an order only for one client and one session (https://interactivebrokers.github.io/tws-api/
order_submission.html), and is handed out again after some restarts; a permId names one order for ever. One orderRef
may have several: a change that was sent while the link was down can become a second working order.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from services.gateway.core.error_codes import Context
from shared.messages.broker import OrderReported
from shared.types import OrderStatus


@dataclass(slots=True)
class Incarnation:
    """One order at the broker.

    `asked`: the change or cancel that the broker has not answered yet. `refusal`: the text of an error that refused
    something, until the order is said to work again. `inferred`: its state follows from an execution.
    """

    report: OrderReported
    acknowledged: bool = False
    listed: bool = True
    asked: Context | None = None
    refusal: str = ""
    inferred: bool = False

    @property
    def context(self) -> Context:
        if not self.acknowledged:
            return Context.NEW_ORDER
        return self.asked or Context.LIVE_ORDER

    @property
    def works(self) -> bool:
        return not self.report.status.is_final


class Incarnations:
    """All orders that were sent or heard of on this connection."""

    def __init__(self) -> None:
        self.highest_id = 0
        self._by_perm: dict[int, Incarnation] = {}
        self._by_id: defaultdict[int, list[Incarnation]] = defaultdict(list)
        self._by_ref: defaultdict[str, list[Incarnation]] = defaultdict(list)

    def __iter__(self) -> Iterator[Incarnation]:
        return (one for family in self._by_ref.values() for one in family)

    def of(self, order_ref: str) -> list[Incarnation]:
        return self._by_ref.get(order_ref, [])

    def references(self) -> list[str]:
        return list(self._by_ref)

    def add(self, report: OrderReported) -> Incarnation:
        """A new one: an order that is about to be sent, or that the broker tells of."""
        made = Incarnation(report)
        self._by_ref[report.order_ref].append(made)
        self._name(made, report.broker_order_id, report.perm_id)
        return made

    def told(self, report: OrderReported) -> Incarnation:
        """The one that the broker describes, with its orderRef; a new one where none fits."""
        found = self._by_perm.get(report.perm_id) if report.perm_id else None
        if found is not None and found.report.order_ref != report.order_ref:
            self._part(found)
            found = None
        found = found or next((one for one in self.of(report.order_ref) if _fits(one, report)), None)
        if found is None:
            return self.add(report)
        self._name(found, report.broker_order_id, report.perm_id)
        return found

    def named(self, broker_order_id: int, perm_id: int) -> Incarnation | None:
        """The one that a message without an orderRef is about; None if that is not certain."""
        if perm_id in self._by_perm:
            return self._by_perm[perm_id]
        holders = self._by_id.get(broker_order_id, [])
        if perm_id:
            holders = [one for one in holders if not one.report.perm_id] if len(holders) == 1 else []
        found = self._only(holders)
        if found is not None:
            self._name(found, broker_order_id, perm_id)
        return found

    def holder(self, broker_order_id: int) -> str | None:
        """The orderRef of an order id, None where there is none or more than one."""
        references = {one.report.order_ref for one in self._by_id.get(broker_order_id, ())}
        return references.pop() if len(references) == 1 else None

    @staticmethod
    def _only(holders: list[Incarnation]) -> Incarnation | None:
        """The one that an order id means: the only one, or the newest that works, if all are of one orderRef."""
        if len({one.report.order_ref for one in holders}) != 1:
            return None
        return next((one for one in reversed(holders) if one.works), holders[-1])

    def _name(self, one: Incarnation, broker_order_id: int, perm_id: int) -> None:
        known = one.report
        if perm_id:
            self._by_perm[perm_id] = one
        if broker_order_id > 0:
            self.highest_id = max(self.highest_id, broker_order_id)
            if one not in self._by_id[broker_order_id]:
                self._by_id[broker_order_id].append(one)
        one.report = known.model_copy(
            update={"broker_order_id": broker_order_id or known.broker_order_id, "perm_id": perm_id or known.perm_id}
        )

    def _part(self, wrong: Incarnation) -> None:
        """A permId was taken for that of the order sent with the same order id, and is another's."""
        del self._by_perm[wrong.report.perm_id]
        unanswered = {"perm_id": 0, "status": OrderStatus.UNKNOWN, "average_price": None, "reason": None}
        wrong.report = wrong.report.model_copy(update=unanswered)
        wrong.acknowledged = False


def _fits(one: Incarnation, told: OrderReported) -> bool:
    """Whether an order that has no permId yet, or is told of without one, may be the one that is told of."""
    known = one.report
    if known.perm_id and told.perm_id:
        return False
    return 0 in (known.broker_order_id, told.broker_order_id) or known.broker_order_id == told.broker_order_id
