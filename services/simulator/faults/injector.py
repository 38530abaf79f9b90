"""Carries out fault scripts: looks at every message while there are rules, and keeps the agenda of what comes later.

Faults never touch the books: they act on messages, or through the broker's journaled commands. With no rule and
nothing broken, sessions have no filter and requests go straight to their handlers.

A message sets off one rule at most, the first that fits in the order they were added.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from services.simulator.broker import Broker
from services.simulator.faults.actions import ACTIONS, Occasion, Stage, instrument
from services.simulator.faults.agenda import Agenda
from services.simulator.faults.armed import Armed, times
from services.simulator.faults.effects import FATES, EditPosition, Effect, Link, ManualOrder, Wait
from services.simulator.faults.model import Rule, Script
from services.simulator.faults.names import check
from services.simulator.faults.seen import Seen, see
from services.simulator.faults.traffic import Handle, Traffic
from services.simulator.faults.world import World
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.framing import LENGTH, split_fields
from services.simulator.wire.layout import LayoutError


class Faults:
    """All faults of one simulator. The server connects it with `serve` before it takes the first client."""

    def __init__(self, broker: Broker, scale: float = 1) -> None:
        """`scale` multiplies all real seconds in rules."""
        self._broker = broker
        self._scale = scale
        self._failed: Callable[[Exception], None] = _not_served
        self._traffic = Traffic(broker, _not_served)
        self._agenda = Agenda(lambda error: self._failed(error), scale)
        self._stage = Stage(broker, self._traffic, self._agenda, _not_served)
        self._armed: list[Armed] = []
        self._added = 0
        self._sessions: set[ClientSession] = set()
        broker.interruptions = self
        broker.entitlement = self._traffic.world.entitlement

    def serve(self, handle: Handle, refuse: Callable[[float], None], failed: Callable[[Exception], None]) -> None:
        """`handle` carries out a request, `refuse` closes the door for seconds, `failed` is told what went wrong."""
        self._traffic.handle, self._failed = handle, failed
        self._stage.refuse = lambda seconds: refuse(seconds * self._scale)

    @property
    def world(self) -> World:
        """The state of the world outside the gateway."""
        return self._traffic.world

    # -- rules ------------------------------------------------------------------------------------------------------

    def add(self, script: Script) -> list[int]:
        """Begin with every rule of a script; return their numbers. Raises ValueError for an unknown name or symbol."""
        self._check(script)
        added = [Armed(self._added + number, rule) for number, rule in enumerate(script.rules, 1)]
        self._added += len(added)
        self._armed += added
        for armed in added:
            self._begin(armed)
        self._refresh()
        return [armed.number for armed in added]

    def fire(self, effect: Effect) -> None:
        """Let one effect happen now, to all clients that it concerns. Raises ValueError like `add`."""
        rule = Rule(do=(effect,))
        self._check(Script(rule=(rule,)))
        self._carry_out(Occasion(self._stage, rule), rule.do)

    def _check(self, script: Script) -> None:
        check(script)
        for effect in (effect for rule in script.rules for effect in rule.do):
            if isinstance(effect, EditPosition | ManualOrder):
                instrument(self._broker, effect.symbol)

    def rules(self) -> list[dict[str, object]]:
        """Return every rule with its counts, as JSON values."""
        return [armed.state() for armed in self._armed]

    def release(self) -> None:
        """Deliver everything that is held."""
        self._traffic.release()
        self._refresh()

    def clear(self) -> None:
        """Forget all rules and what they have scheduled, mend what is broken, and deliver what was held."""
        world = self._traffic.world
        self._armed.clear()
        self._agenda.clear()
        world.access.clear()
        world.down.clear()
        world.skew = 0
        if world.link is not None:
            self._traffic.restore(Link(up=True))
        for session in self._sessions:
            session.data.resend()
        self.release()

    def close(self) -> None:
        """Let nothing happen any more."""
        self._agenda.clear()

    def _begin(self, armed: Armed) -> None:
        when = armed.rule.when
        if when.names:
            return
        if when.after is not None:
            self._repeat(armed, when.after)
        elif when.at is None and when.clock is None and when.after_virtual is None:
            self._fire(armed, None)
        else:
            self._schedule(armed, times(when, self._broker.engine.now))

    def _repeat(self, armed: Armed, seconds: float) -> None:
        def due() -> None:
            self._fire(armed, None)
            if not armed.spent:
                self._repeat(armed, max(seconds, 1e-3))

        self._agenda.later(seconds, due)

    def _schedule(self, armed: Armed, moments: Iterator[datetime]) -> None:
        time = next(moments, None)
        if time is None:
            return

        def due() -> None:
            self._fire(armed, None)
            self._schedule(armed, moments)

        self._agenda.at(time, due)

    # -- virtual time: what the broker asks -------------------------------------------------------------------------

    def next_stop(self, after: datetime, until: datetime) -> datetime | None:
        """Return the earliest time, not later than `until`, at which something is to happen."""
        time = self._agenda.next_time(until)
        return None if time is None else max(time, after)

    def reached(self, now: datetime) -> None:
        """Do what was to happen by `now`."""
        self._agenda.reached(now)

    # -- sessions: what the server tells ----------------------------------------------------------------------------

    def notices(self) -> list[tuple[int, str]]:
        """Return the codes and texts that a client is told at its start."""
        return self._traffic.world.notices()

    def attach(self, session: ClientSession) -> None:
        """A client has connected."""
        self._sessions.add(session)
        self._refresh()

    def joined(self, session: ClientSession) -> None:
        """A client has been sent what every client is sent at its start."""
        self._traffic.joined(session)
        self._refresh()

    def detach(self, session: ClientSession) -> None:
        self._sessions.discard(session)

    def _refresh(self) -> None:
        """Take hold of what sessions send if there is a reason to, else let go."""
        listening = not self._traffic.sound or any(armed.rule.when.sends and not armed.spent for armed in self._armed)
        for session in self._sessions:
            session.filter = self._outgoing if listening else None

    # -- messages ---------------------------------------------------------------------------------------------------

    def incoming(self, session: ClientSession, fields: list[str]) -> None:
        """Take one request: it is carried out, unless a rule or the state of the world says otherwise."""
        if self._traffic.sound and not any(armed.rule.when.receives and not armed.spent for armed in self._armed):
            self._traffic.handle(session, fields)
            return
        try:
            request = requests.read_request(fields, session.version)
        except LayoutError:
            self._traffic.handle(session, fields)  # answered as any request that cannot be understood
            return
        name = requests.NAMES[request.message_id]
        self._meet(see(self._broker.engine, session, True, name, request.row, fields))

    def _outgoing(self, session: ClientSession, frame: bytes) -> None:
        fields = split_fields(frame[LENGTH.size :])
        message, row = answers.read_answer(fields, session.version)
        self._meet(see(self._broker.engine, session, False, message.name, row, fields))

    def _meet(self, seen: Seen) -> None:
        counted = [armed for armed in self._armed if armed.counts(seen)]
        if counted:
            self._fire(counted[0], seen)
        else:
            self._traffic.deliver(seen)

    # -- effects ----------------------------------------------------------------------------------------------------

    def _fire(self, armed: Armed, seen: Seen | None) -> None:
        armed.fired += 1
        if seen is not None and not any(isinstance(effect, FATES) for effect in armed.rule.do):
            self._traffic.deliver(seen)
        self._carry_out(Occasion(self._stage, armed.rule, seen), armed.rule.do)

    def _carry_out(self, occasion: Occasion, effects: tuple[Effect, ...]) -> None:
        """Let effects happen one after the other; what follows a wait is put on the agenda."""
        for index, effect in enumerate(effects):
            if isinstance(effect, Wait):
                self._wait(effect, occasion, effects[index + 1 :])
                break
            ACTIONS[type(effect)](occasion, effect)
        self._refresh()

    def _wait(self, wait: Wait, occasion: Occasion, rest: tuple[Effect, ...]) -> None:
        def due() -> None:
            self._carry_out(occasion, rest)

        if wait.seconds is not None:
            self._agenda.later(wait.seconds, due)
        elif wait.virtual_seconds is not None:
            self._agenda.at(self._broker.engine.now + timedelta(seconds=wait.virtual_seconds), due)


def _not_served(*_: object) -> None:
    raise RuntimeError("faults act on a server; it calls serve() when it is made")
