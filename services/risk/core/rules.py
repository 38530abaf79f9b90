"""One function per rule: (what is asked, what is known) -> whether it passes, with the value and the limit.

Unknown, missing or stale input fails the rule. Values become text only where somebody reads them (`Rule.check`): a
backtest judges as live does, and reads nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from services.risk.config import Settings
from shared.messages.market import Quote
from shared.messages.risk import RuleCheck
from shared.messages.strategy import OrderIntent
from shared.types import QuoteQuality, TradingState

ACTIVE, LIVE = TradingState.ACTIVE, QuoteQuality.LIVE
ZERO, ONE = Decimal(0), Decimal(1)


class Proposal(NamedTuple):
    """An entry as it would be ordered, and all that the rules look at. Prices in USD, None where unknown."""

    intent: OrderIntent
    now: datetime
    trading_state: TradingState
    market_open: bool
    quote: Quote | None
    limit_price: Decimal | None
    quantity: Decimal
    equity: Decimal | None
    session_open_value: Decimal | None
    occupied: int  # open positions and working entries
    same_open: int  # of these, the ones of the same strategy and symbol


Finding = tuple[bool, object, object]
"""Whether a rule passed, its value, its limit. A value that is text already says why there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and how a person reads its value and its limit."""

    name: str
    find: Callable[[Proposal, Settings], Finding]
    value: str
    limit: str

    def check(self, proposal: Proposal, settings: Settings) -> RuleCheck:
        passed, value, limit = self.find(proposal, settings)
        return RuleCheck(rule=self.name, value=_text(self.value, value), limit=_text(self.limit, limit), passed=passed)


def _text(template: str, value: object) -> str:
    return value if isinstance(value, str) else template.format(value)


def rule(value: str = "{}", limit: str = "{}") -> Callable[[Callable[[Proposal, Settings], Finding]], Rule]:
    """Make a function a rule of its name; `value` and `limit` are the templates of what it returns."""
    return lambda find: Rule(find.__name__, find, value, limit)


@rule()
def trading_state(proposal: Proposal, _: Settings) -> Finding:
    return proposal.trading_state is ACTIVE, proposal.trading_state, ACTIVE


@rule(limit="before {}")
def intent_expiry(proposal: Proposal, _: Settings) -> Finding:
    expiry = proposal.intent.expires_at
    return proposal.now < expiry, proposal.now, expiry


@rule()
def market_hours(proposal: Proposal, _: Settings) -> Finding:
    return proposal.market_open, "open" if proposal.market_open else "closed", "open"


@rule(value="{} open")
def duplicate_intent(proposal: Proposal, _: Settings) -> Finding:
    return proposal.same_open == 0, proposal.same_open, "none open"


@rule()
def quote_quality(proposal: Proposal, _: Settings) -> Finding:
    quality = proposal.quote.quality if proposal.quote else "no quote"
    return quality is LIVE, quality, LIVE


@rule("{:g} s", "at most {:g} s")
def stale_quote(proposal: Proposal, settings: Settings) -> Finding:
    limit = settings.max_quote_age_seconds
    if proposal.quote is None:
        return False, "no quote", limit
    age = (proposal.now - proposal.quote.time).total_seconds()
    return age <= limit, age, limit


@rule("{:.3%}", "at most {:%} from last")
def price_collar(proposal: Proposal, settings: Settings) -> Finding:
    limit = settings.price_collar
    last = proposal.quote.last if proposal.quote else None
    if not last or proposal.limit_price is None:
        return False, "no price", limit
    distance = abs(proposal.limit_price - last) / last
    return distance <= limit, distance, limit


@rule(value="{} USD away")
def stop_loss(proposal: Proposal, settings: Settings) -> Finding:
    stop, required = proposal.intent.stop_distance, settings.require_stop
    passed = stop is not None or not required
    return passed, "none" if stop is None else stop, "a stop" if required else "none needed"


@rule(limit="at most {}")
def max_positions(proposal: Proposal, settings: Settings) -> Finding:
    would_be = proposal.occupied + 1
    return would_be <= settings.max_positions, would_be, settings.max_positions


@rule(value="{} shares")
def minimum_size(proposal: Proposal, _: Settings) -> Finding:
    return proposal.quantity >= ONE, proposal.quantity, "at least 1 share"


@rule("{:.2%}", "at most {:%} of equity")
def max_position_size(proposal: Proposal, settings: Settings) -> Finding:
    limit = settings.max_position_fraction
    if not proposal.equity or proposal.equity < ZERO or proposal.limit_price is None:
        return False, "no equity, or price unknown", limit
    fraction = proposal.quantity * proposal.limit_price / proposal.equity
    return fraction <= limit, fraction, limit


@rule("{:.2f} USD", "at most {} USD")
def max_order_value(proposal: Proposal, settings: Settings) -> Finding:
    limit = settings.max_order_value
    if proposal.limit_price is None:
        return False, "price unknown", limit
    value = proposal.quantity * proposal.limit_price
    return value <= limit, value, limit


@rule("{:.3%}", "less than {:%}")
def daily_loss(proposal: Proposal, settings: Settings) -> Finding:
    limit = settings.max_daily_loss
    if not proposal.equity or not proposal.session_open_value:
        return False, "equity unknown", limit
    loss = (proposal.session_open_value - proposal.equity) / proposal.session_open_value
    return loss < limit, loss, limit


# In this order; the first that fails names the refusal.
ENTRY_RULES = (
    trading_state,
    intent_expiry,
    market_hours,
    duplicate_intent,
    quote_quality,
    stale_quote,
    price_collar,
    stop_loss,
    max_positions,
    minimum_size,
    max_position_size,
    max_order_value,
    daily_loss,
)


def first_broken(rules: Sequence[Rule], proposal: Proposal, settings: Settings) -> str | None:
    """The name of the first rule that fails; None if all pass."""
    for one in rules:
        if not one.find(proposal, settings)[0]:
            return one.name
    return None
