"""The way of messages past the rules: kept, silenced or delivered as the state of the world has it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from services.simulator.broker import Broker
from services.simulator.faults.effects import RECONNECT, FieldValue, Link
from services.simulator.faults.seen import Seen, filled_in
from services.simulator.faults.world import World, link_notice
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.framing import frame, split_fields

Handle: TypeAlias = Callable[[ClientSession, list[str]], None]


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits for another one, for a new connection of its client, or to be released."""

    until: str
    seen: Seen


class Traffic:
    """`handle` carries out a request; it raises nothing that a client could cause."""

    def __init__(self, broker: Broker, handle: Handle) -> None:
        self.world = World()
        self.handle = handle
        self._broker = broker
        self._held: list[Held] = []
        self._withheld: list[Seen] = []

    @property
    def sound(self) -> bool:
        """True if every message would pass as it is."""
        return self.world.sound and not self._held

    def deliver(self, seen: Seen) -> None:
        """Let a message go as far as the state of the world lets it."""
        if seen.received:
            self._accept(seen)
        elif self.world.withholds(seen):
            if self.world.keeps(seen):
                self._withheld.append(seen)
        elif not self.world.silences(seen):
            self._write(seen)

    def _accept(self, seen: Seen) -> None:
        refusal = self.world.refusal(seen)
        if refusal is not None:
            self.error(seen.session, seen.answer_id, *refusal)
        elif not self.world.unanswered(seen):
            self.handle(seen.session, seen.fields)
        elif self.world.queues(seen):
            self._withheld.append(seen)

    def _write(self, seen: Seen) -> None:
        if self.world.skew and seen.name == "currentTime":
            seen = changed(seen, {"time": str(int(seen.text("time")) + int(self.world.skew))})
        seen.session.write(frame(seen.fields))
        for held in [one for one in self._held if one.until == seen.name and _same_order(one.seen, seen)]:
            self._held.remove(held)
            self.deliver(held.seen)

    def error(self, session: ClientSession, request_id: int, code: int, text: str) -> None:
        """Send an error that no rule sees."""
        session.write(answers.error(request_id, code, text, session.version))

    # -- holding ----------------------------------------------------------------------------------------------------

    def hold(self, seen: Seen, until: str) -> None:
        self._held.append(Held(until, seen))

    def release(self) -> None:
        """Deliver everything that is held, whatever it waits for."""
        held, self._held = self._held, []
        for one in held:
            self.deliver(one.seen)

    def joined(self, session: ClientSession) -> None:
        """Deliver what waited for the client to connect anew."""
        for held in list(self._held):
            former = held.seen.session
            if held.until == RECONNECT and former is not session and former.client_id == session.client_id:
                self._held.remove(held)
                self.deliver(replace(held.seen, session=session))

    def restore(self, change: Link) -> None:
        """The link to IBKR is back: say so, forget or renew the quote lines, and deliver what was kept."""
        self.world.link = None
        withheld, self._withheld = self._withheld, []
        for session in self._broker.sessions.values():
            if change.notice:
                self.error(session, -1, *link_notice(change))
            if change.data_lost:
                session.data.forget()
            else:
                session.data.resend()
        for seen in withheld:
            self.deliver(seen)  # if its connection has ended meanwhile, the message is lost with it


def changed(seen: Seen, fields: dict[str, FieldValue]) -> Seen:
    """Return a message with other values; `{name}` in them stands for a value of the message."""
    session = seen.session
    row = {**seen.row, **filled_in(fields, seen.row)}
    if seen.received:
        written = requests.write_request(int(seen.fields[0]), row, session.version)
        return replace(seen, row=requests.read_request(written, session.version).row, fields=written)
    message, _ = answers.read_answer(seen.fields, session.version)
    written = split_fields(answers.encode(message, row, session.version)[4:])
    return replace(seen, row=answers.read_answer(written, session.version)[1], fields=written)


def _same_order(first: Seen, second: Seen) -> bool:
    """True if both messages are about one order, or one of them is about none."""
    return not (first.order_id and second.order_id) or first.order_id == second.order_id
