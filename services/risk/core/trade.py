"""What risk keeps of an approved order, of the account, and of each decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from uuid import UUID

from services.risk.core.spreads import Package
from shared.messages.order import PlaceOrder
from shared.messages.risk import RuleCheck
from shared.messages.strategy import OrderIntent
from shared.types import OrderStatus, Side

ZERO = Decimal(0)


@dataclass(slots=True)
class Trade:
    """An approved order that is not done yet: an entry with its stop and target, or with the exits that close it.

    `filled` is the entry's fill in shares; `closed` those of each of the others, by orderRef. The judge keeps it up to
    date; nobody else changes it.
    """

    order_id: str
    strategy: str
    symbol: str
    side: Side
    approved_at: datetime
    entry_status: OrderStatus = OrderStatus.INTENT
    filled: Decimal = ZERO
    closed: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    closing: str | None = None  # why it is being closed
    package: Package | None = None  # of a combination

    @property
    def held(self) -> bool:
        return self.filled > sum(self.closed.values(), ZERO)

    @property
    def done(self) -> bool:
        return self.entry_status.is_final and not self.held


@dataclass(frozen=True, slots=True)
class Equity:
    """The columns of `risk_account`: the account as last reconciled, and its value when the session began."""

    account: str
    net_liquidation: Decimal
    session: str
    session_open_value: Decimal
    reported_at: datetime

    @property
    def loss(self) -> Decimal:
        """Of the session so far, as a fraction; negative for a gain."""
        opened = self.session_open_value
        return (opened - self.net_liquidation) / opened if opened else ZERO


class Verdict(NamedTuple):
    """What was decided about one intent; the columns of `decisions`."""

    intent_id: UUID
    intent: OrderIntent
    approved: bool
    code: str | None
    order_id: str | None
    checks: tuple[RuleCheck, ...]
    placed: PlaceOrder | None


def position_to_close(own: Sequence[Trade]) -> RuleCheck:
    """The one rule for an exit, whose strategy has these trades on the symbol."""
    name, value = ("position_to_close", own[0].order_id) if own else ("no_position", "none open")
    return RuleCheck(rule=name, value=value, limit="a position to close", passed=bool(own))


def new_order_id(symbol: str, now: datetime, intent_id: UUID) -> str:
    """At most 28 characters, so that a child's or exit's suffix fits an orderRef; always the same for an intent."""
    return f"{symbol[:12]}-{_day(now.date())}-{intent_id.hex[:8]}"


@cache
def _day(day: date) -> str:
    return f"{day:%y%m%d}"
