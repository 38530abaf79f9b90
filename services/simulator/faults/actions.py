"""How each effect is carried out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from services.simulator.broker import Broker
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import OrderRequest
from services.simulator.entitlement import COMPETING, Access
from services.simulator.faults import effects
from services.simulator.faults.agenda import Agenda
from services.simulator.faults.model import Rule
from services.simulator.faults.seen import Seen, filled_in
from services.simulator.faults.traffic import Traffic, changed
from services.simulator.faults.world import link_notice
from services.simulator.session import ClientSession, Cuts
from services.simulator.wire import answers
from services.simulator.wire.layout import Values

_FIRST_REJECTED_PERM_ID = 1_999_000_001


@dataclass(slots=True)
class Stage:
    """What effects act on. `refuse` closes the server's door for real seconds."""

    broker: Broker
    traffic: Traffic
    agenda: Agenda
    refuse: Callable[[float], None]
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why an effect happens: a rule, and the message that set it off, if one did."""

    stage: Stage
    rule: Rule
    seen: Seen | None = None

    @property
    def message(self) -> Seen:
        """The message; effects that need one are only allowed in rules that have one."""
        assert self.seen is not None  # noqa: S101 - Rule has checked it
        return self.seen

    def sessions(self) -> list[ClientSession]:
        """The client that the message belongs to, or all that the rule is about."""
        if self.seen is not None:
            return [self.seen.session]
        wanted = self.rule.when.client_id
        return [one for client_id, one in self.stage.broker.sessions.items() if wanted in (None, client_id)]

    def values(self, fields: dict[str, effects.FieldValue]) -> Values:
        return filled_in(fields, self.seen.row if self.seen else {})


# -- fates ------------------------------------------------------------------------------------------------------------


def _deliver(occasion: Occasion, _: effects.Deliver) -> None:
    occasion.stage.traffic.deliver(occasion.message)


def _drop(_: Occasion, __: effects.Drop) -> None:
    """Nobody hears of it again."""


def _delay(occasion: Occasion, effect: effects.Delay) -> None:
    occasion.stage.agenda.later(effect.seconds, lambda: occasion.stage.traffic.deliver(occasion.message))


def _duplicate(occasion: Occasion, effect: effects.Duplicate) -> None:
    for _ in range(effect.times + 1):
        occasion.stage.traffic.deliver(occasion.message)


def _hold(occasion: Occasion, effect: effects.Hold) -> None:
    occasion.stage.traffic.hold(occasion.message, effect.until)


def _replace(occasion: Occasion, effect: effects.Replace) -> None:
    occasion.stage.traffic.deliver(changed(occasion.message, effect.fields))


def _dash_times(occasion: Occasion, _: effects.DashTimes) -> None:
    text = occasion.message.text("time").split()
    zone = ZoneInfo(text[2]) if len(text) > 2 else ZoneInfo("America/New_York")
    time = datetime.strptime(" ".join(text[:2]), "%Y%m%d %H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    occasion.stage.traffic.deliver(changed(occasion.message, {"time": f"{time:%Y%m%d-%H:%M:%S}"}))


# -- telling ----------------------------------------------------------------------------------------------------------


def _error(occasion: Occasion, effect: effects.Error) -> None:
    request_id = effect.id if effect.id is not None else occasion.seen.answer_id if occasion.seen else -1
    text = occasion.values({"text": effect.text})["text"]
    for session in occasion.sessions():
        occasion.stage.traffic.error(session, request_id, effect.code, str(text))


def _send(occasion: Occasion, effect: effects.Send) -> None:
    message = next(one for one in answers.MESSAGES if one.name == effect.message)
    values: dict[str, Any] = dict(occasion.values(effect.fields))
    if effect.like and occasion.seen is not None:
        shared = message.known - {"_version"}
        values = {name: value for name, value in occasion.seen.row.items() if name in shared} | values
    for session in occasion.sessions():
        own = {"client_id": session.client_id} if "client_id" in message.known else {}
        session.write(answers.encode(message, own | values, session.version))


def _reject(occasion: Occasion, effect: effects.Reject) -> None:
    """The order never reaches the books, so its openOrder is made of the request."""
    _error(occasion, effects.Error(code=effect.code, text=effect.text))
    if not effect.inactive:
        return
    stage, seen = occasion.stage, occasion.message
    known = {"perm_id": str(_FIRST_REJECTED_PERM_ID + stage.rejected)}
    stage.rejected += 1
    status = {"status": "Inactive", "filled": "0", "remaining": seen.text("total_quantity")}
    for message, names in ((answers.OPEN_ORDER, ("status",)), (answers.ORDER_STATUS, tuple(status))):
        fields: dict[str, effects.FieldValue] = {**known, **{name: status[name] for name in names}}
        _send(occasion, effects.Send(message=message.name, fields=fields))


def _raw(occasion: Occasion, effect: effects.Raw) -> None:
    for session in occasion.sessions():
        session.write(bytes.fromhex(effect.hex))


# -- connections ------------------------------------------------------------------------------------------------------


def _close(occasion: Occasion, _: effects.Close) -> None:
    for session in occasion.sessions():
        session.finish()


def _cut(occasion: Occasion, effect: effects.Cut) -> None:
    for session in occasion.sessions():
        if effect.after_sent or effect.after_received:
            session.cuts = Cuts(effect.after_sent, effect.after_received)
        else:
            session.abort()


def _half_open(occasion: Occasion, _: effects.HalfOpen) -> None:
    for session in occasion.sessions():
        session.freeze()


def _refuse(occasion: Occasion, effect: effects.Refuse) -> None:
    occasion.stage.refuse(effect.seconds)


# -- IBKR -------------------------------------------------------------------------------------------------------------


def _farm(occasion: Occasion, effect: effects.FarmState) -> None:
    stage = occasion.stage
    code, text = stage.traffic.world.change_farm(effect)
    for session in stage.broker.sessions.values():
        if effect.notice:
            stage.traffic.error(session, -1, code, text)
        if effect.up:
            session.data.resend()


def _link(occasion: Occasion, effect: effects.Link) -> None:
    traffic = occasion.stage.traffic
    if effect.up:
        traffic.restore(effect)
        return
    traffic.world.link = effect
    for session in occasion.stage.broker.sessions.values():
        if effect.notice:
            traffic.error(session, -1, *link_notice(effect))


def _forget_lines(occasion: Occasion, _: effects.ForgetLines) -> None:
    for session in occasion.sessions():
        session.data.forget()


def _access(occasion: Occasion, effect: effects.MarketDataAccess) -> None:
    stage = occasion.stage
    world = stage.traffic.world
    for symbol in effect.symbols or ("",):
        world.access[symbol] = effect.access
    for session in stage.broker.sessions.values():
        for request_id, instrument in session.data.lines():
            access = world.access_of(instrument.symbol)
            if effect.access is Access.COMPETING and access is Access.COMPETING:
                stage.traffic.error(session, request_id, COMPETING.code, COMPETING.text)
        if effect.access is Access.LIVE:
            session.data.resend()


def _clock_skew(occasion: Occasion, effect: effects.ClockSkew) -> None:
    occasion.stage.traffic.world.skew = effect.seconds


# -- books ------------------------------------------------------------------------------------------------------------


def _edit_position(occasion: Occasion, effect: effects.EditPosition) -> None:
    broker = occasion.stage.broker
    account = effect.account or next(iter(broker.engine.accounts))
    contract_id = instrument(broker, effect.symbol).contract_id
    broker.edit_position(account, contract_id, effect.quantity, effect.average_price)


def _correct(occasion: Occasion, effect: effects.Correct) -> None:
    broker = occasion.stage.broker
    for execution in reversed(broker.engine.executions):
        if fnmatchcase(execution.order.request.order_ref, effect.order_ref) and not execution.leg:
            broker.correct(execution.execution_id, effect.price)
            return


def _manual_order(occasion: Occasion, effect: effects.ManualOrder) -> None:
    broker = occasion.stage.broker
    engine = broker.engine
    broker.place(
        OrderRequest(
            client_id=effect.client_id,
            order_id=engine.next_order_id(effect.client_id) if effect.client_id else engine.next_manual_id(),
            contract_id=instrument(broker, effect.symbol).contract_id,
            action=effect.action,
            quantity=effect.quantity,
            order_type=effect.order_type,
            limit_price=effect.limit_price,
            time_in_force=effect.time_in_force,
            account=effect.account,
        )
    )


def instrument(broker: Broker, symbol: str) -> Instrument:
    """Raises ValueError if the symbol names no contract, or several."""
    catalogue = broker.engine.market.catalogue
    found = catalogue.find(ContractQuery(symbol=symbol, security_type="STK")) or catalogue.find(
        ContractQuery(local_symbol=symbol)
    )
    if len(found) != 1:
        raise ValueError(f"symbol: {symbol!r} names {len(found)} contracts; use a stock's symbol or a local symbol")
    return found[0]


Action: TypeAlias = Callable[[Occasion, Any], None]
ACTIONS: dict[type[effects.Model], Action] = {
    effects.Deliver: _deliver,
    effects.Drop: _drop,
    effects.Delay: _delay,
    effects.Duplicate: _duplicate,
    effects.Hold: _hold,
    effects.Replace: _replace,
    effects.DashTimes: _dash_times,
    effects.Error: _error,
    effects.Send: _send,
    effects.Reject: _reject,
    effects.Raw: _raw,
    effects.Close: _close,
    effects.Cut: _cut,
    effects.HalfOpen: _half_open,
    effects.Refuse: _refuse,
    effects.FarmState: _farm,
    effects.Link: _link,
    effects.ForgetLines: _forget_lines,
    effects.MarketDataAccess: _access,
    effects.ClockSkew: _clock_skew,
    effects.EditPosition: _edit_position,
    effects.Correct: _correct,
    effects.ManualOrder: _manual_order,
}
