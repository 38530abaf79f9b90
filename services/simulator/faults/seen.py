"""A message on its way, as the rules see it: its name, its values, and the order it is about."""

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Order
from services.simulator.faults.effects import FieldValue
from services.simulator.faults.model import When
from services.simulator.session import ClientSession
from services.simulator.wire.layout import Row, Values

_PLACE = re.compile(r"\{(\w+)\}")
_NO_ORDER = frozenset({"", "0", "-1"})


@dataclass(frozen=True, slots=True)
class Seen:
    """`received` is true for a request, false for an answer. `fields` are those of the frame, message id first."""

    session: ClientSession
    received: bool
    name: str
    row: Row
    fields: list[str]
    order: Order | None = None
    instrument: Instrument | None = None
    """What a quote is of."""

    @property
    def order_id(self) -> str:
        """The order's id as the client knows it, empty if the message is about none."""
        if self.name == "error":
            return self.text("id")
        return self.text("order_id") or (str(self.order.request.order_id) if self.order else "")

    @property
    def answer_id(self) -> int:
        """The id that an error about this message bears."""
        for name in ("order_id", "request_id", "id"):
            text = self.text(name)
            if text.removeprefix("-").isdecimal():
                return int(text)
        return -1

    def text(self, name: str) -> str:
        value = self.row.get(name, "")
        return value if isinstance(value, str) else ""

    def fits(self, when: When) -> bool:
        """True if the message is one that `when` speaks of; counting is not done here."""
        if self.received != bool(when.receives) or not any(name in ("*", self.name) for name in when.names):
            return False
        return (
            when.client_id in (None, self.session.client_id)
            and (when.code is None or self.text("code") == str(when.code))
            and (when.symbol is None or self._symbol() == when.symbol)
            and (when.order_ref is None or fnmatchcase(self._order_ref(), when.order_ref))
            and all(name in self.row and fnmatchcase(self.text(name), p) for name, p in when.fields.items())
        )

    def _symbol(self) -> str:
        return self.text("symbol") or (self.instrument.symbol if self.instrument else "")

    def _order_ref(self) -> str:
        return self.text("order_ref") or (self.order.request.order_ref if self.order else "")


def see(engine: Engine, session: ClientSession, received: bool, name: str, row: Row, fields: list[str]) -> Seen:
    """Return a message together with the order it is about, if the books hold one."""
    bare = Seen(session, received, name, row, fields)
    request_id = bare.text("request_id")
    instrument = session.data.instrument_of(int(request_id)) if request_id.isdecimal() else None
    return replace(bare, order=_order(engine, bare), instrument=instrument)


def _order(engine: Engine, seen: Seen) -> Order | None:
    execution_id = seen.text("execution_id")
    if execution_id:
        for execution in reversed(engine.executions):
            if execution.execution_id == execution_id:
                return engine.book.orders.get(execution.order.request.key)
        return None
    order_id, client_id = seen.order_id, seen.text("client_id")
    if order_id in _NO_ORDER or not order_id.isdecimal() or seen.session.client_id is None:
        return None
    owner = int(client_id) if client_id.isdecimal() and seen.name != "startApi" else seen.session.client_id
    return engine.book.orders.get((owner, int(order_id)))


def filled_in(fields: dict[str, FieldValue], row: Row) -> Values:
    """Return values with every `{name}` replaced by the text of that name in `row`, if it has one."""

    def of_row(match: re.Match[str]) -> str:
        value = row.get(match[1])
        return value if isinstance(value, str) else match[0]

    return {
        name: _PLACE.sub(of_row, value) if isinstance(value, str) else [filled_in(dict(one), row) for one in value]
        for name, value in fields.items()
    }
