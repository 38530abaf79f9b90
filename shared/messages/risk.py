"""What risk decided, with the value and the limit of every rule."""

from uuid import UUID

from shared.messages.base import Message
from shared.types import TradingState


class RuleCheck(Message):
    """One rule's verdict, as a person reads it: its value, its limit, and whether it passed."""

    rule: str
    value: str
    limit: str
    passed: bool


class IntentRefused(Message):
    """An intent did not become an order. `code` names the first rule that failed."""

    intent_id: UUID
    strategy: str
    symbol: str
    code: str
    checks: tuple[RuleCheck, ...]


class TradingStateChanged(Message):
    """The trading state moved; `actor` is a person or a service."""

    state: TradingState
    previous: TradingState
    reason: str
    actor: str
