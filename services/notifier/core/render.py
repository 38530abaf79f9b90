"""Event -> alert: what happened and why, in a title and a few lines."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.messages.alert import DeadLetter
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, ErrorEffect
from shared.messages.order import OrderChanged, OrderFilled, Reconciled
from shared.messages.risk import IntentRefused, TradingStateChanged
from shared.types import OrderStatus


@dataclass(frozen=True, slots=True)
class Alert:
    title: str
    body: str


def render(event: Message, quiet_codes: Collection[str]) -> Alert | None:
    """The alert an event deserves; None for everyday news. `quiet_codes` are refusals not worth one."""
    match event:
        case OrderFilled():
            return _fill(event)
        case IntentRefused() if event.code not in quiet_codes:
            failed = [
                f"{check.rule}: {check.value} (limit: {check.limit})" for check in event.checks if not check.passed
            ]
            return Alert(f"Refused {event.symbol}: {event.code}", f"Strategy {event.strategy}. " + "; ".join(failed))
        case TradingStateChanged():
            return Alert(f"Trading {event.state}", f"Was {event.previous}; by {event.actor}: {event.reason}")
        case OrderChanged() if event.status in (OrderStatus.REJECTED, OrderStatus.UNKNOWN):
            return Alert(
                f"Order {event.order_ref} {event.status}",
                f"{event.side} {event.quantity} {event.symbol}: {event.reason or 'the broker gave no reason'}",
            )
        case Reconciled() if event.breaks:
            lines = [f"{item.subject}: ours {item.ours}, broker {item.broker}" for item in event.breaks]
            return Alert("The books differ from the broker's", "\n".join(lines))
        case BrokerErrorReported() if event.effect in (ErrorEffect.UNKNOWN, ErrorEffect.ORDER_REJECTED):
            return Alert(f"Broker error {event.code}", event.text)
        case DeadLetter():
            return Alert(
                f"Dead letter on {event.stream}", f"{event.group} could not handle {event.entry_id}: {event.reason}"
            )
        case _:
            return None


def _fill(fill: OrderFilled) -> Alert:
    profit = f", realised {fill.realised:+.2f} USD" if fill.realised else ""
    return Alert(
        f"{fill.side} {fill.quantity:f} {fill.symbol} at {fill.price:f}",
        f"{fill.leg} of {fill.order_id or 'an order that is not ours'} ({fill.strategy}){profit}; "
        f"position {fill.position_quantity:f}",
    )
