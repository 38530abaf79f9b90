"""One function per rule: (what is asked, what is known) -> a verdict that a person can read.

Unknown, missing or stale input fails the rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.risk.config import Settings
from shared.messages.market import Quote
from shared.messages.risk import RuleCheck
from shared.messages.strategy import OrderIntent
from shared.types import QuoteQuality, TradingState


@dataclass(frozen=True, slots=True)
class Proposal:
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


Rule = Callable[[Proposal, Settings], RuleCheck]


def _check(rule: str, value: object, limit: object, passed: bool) -> RuleCheck:
    return RuleCheck(rule=rule, value=str(value), limit=str(limit), passed=passed)


def trading_state(proposal: Proposal, _: Settings) -> RuleCheck:
    state = proposal.trading_state
    return _check("trading_state", state, TradingState.ACTIVE, state is TradingState.ACTIVE)


def intent_expiry(proposal: Proposal, _: Settings) -> RuleCheck:
    expiry = proposal.intent.expires_at
    return _check("intent_expiry", proposal.now.isoformat(), f"before {expiry.isoformat()}", proposal.now < expiry)


def market_hours(proposal: Proposal, _: Settings) -> RuleCheck:
    return _check("market_hours", "open" if proposal.market_open else "closed", "open", proposal.market_open)


def duplicate_intent(proposal: Proposal, _: Settings) -> RuleCheck:
    return _check("duplicate_intent", f"{proposal.same_open} open", "none open", proposal.same_open == 0)


def quote_quality(proposal: Proposal, _: Settings) -> RuleCheck:
    quality = proposal.quote.quality if proposal.quote else "no quote"
    return _check("quote_quality", quality, QuoteQuality.LIVE, quality == QuoteQuality.LIVE)


def stale_quote(proposal: Proposal, settings: Settings) -> RuleCheck:
    limit = settings.max_quote_age_seconds
    if proposal.quote is None:
        return _check("stale_quote", "no quote", f"at most {limit:g} s", passed=False)
    age = (proposal.now - proposal.quote.time).total_seconds()
    return _check("stale_quote", f"{age:g} s", f"at most {limit:g} s", age <= limit)


def price_collar(proposal: Proposal, settings: Settings) -> RuleCheck:
    limit = f"at most {settings.price_collar:%} from last"
    last = proposal.quote.last if proposal.quote else None
    if not last or proposal.limit_price is None:
        return _check("price_collar", "no price", limit, passed=False)
    distance = abs(proposal.limit_price - last) / last
    return _check("price_collar", f"{distance:.3%}", limit, distance <= settings.price_collar)


def max_positions(proposal: Proposal, settings: Settings) -> RuleCheck:
    would_be = proposal.occupied + 1
    return _check("max_positions", would_be, f"at most {settings.max_positions}", would_be <= settings.max_positions)


def minimum_size(proposal: Proposal, _: Settings) -> RuleCheck:
    return _check("minimum_size", f"{proposal.quantity} shares", "at least 1 share", proposal.quantity >= 1)


def max_position_size(proposal: Proposal, settings: Settings) -> RuleCheck:
    limit = f"at most {settings.max_position_fraction:%} of equity"
    if not proposal.equity or proposal.limit_price is None:
        return _check("max_position_size", "equity or price unknown", limit, passed=False)
    fraction = proposal.quantity * proposal.limit_price / proposal.equity
    return _check("max_position_size", f"{fraction:.2%}", limit, fraction <= settings.max_position_fraction)


def max_order_value(proposal: Proposal, settings: Settings) -> RuleCheck:
    limit = f"at most {settings.max_order_value} USD"
    if proposal.limit_price is None:
        return _check("max_order_value", "price unknown", limit, passed=False)
    value = proposal.quantity * proposal.limit_price
    return _check("max_order_value", f"{value:.2f} USD", limit, value <= settings.max_order_value)


def daily_loss(proposal: Proposal, settings: Settings) -> RuleCheck:
    limit = f"less than {settings.max_daily_loss:%}"
    if not proposal.equity or not proposal.session_open_value:
        return _check("daily_loss", "equity unknown", limit, passed=False)
    loss = (proposal.session_open_value - proposal.equity) / proposal.session_open_value
    return _check("daily_loss", f"{loss:.3%}", limit, loss < settings.max_daily_loss)


# In this order; the first that fails names the refusal.
ENTRY_RULES: tuple[Rule, ...] = (
    trading_state,
    intent_expiry,
    market_hours,
    duplicate_intent,
    quote_quality,
    stale_quote,
    price_collar,
    max_positions,
    minimum_size,
    max_position_size,
    max_order_value,
    daily_loss,
)
