"""Combinations of options: what their legs' quotes come to, what they can lose, and when they are left.

Prices are net, in USD per share of the underlying: what a buyer of the combination pays, below zero what he receives.
All legs expire on one day and are options on 100 shares.

Invariants:
1. A combination with a leg that has no bid or no ask is not entered; one with a leg that has no price at the side where
   it would trade is not left at a guess.
2. An entry never gives more than the quote asks for, and its loss is limited, or it is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from services.risk.config import Settings
from services.risk.core import rules
from services.risk.core.rules import Finding, Proposal, rule
from services.risk.core.sizing import round_down, round_up, shares
from shared.instruments import parse
from shared.messages.broker_commands import ComboLeg, NetPrice, PriceEffect
from shared.messages.market import Quote
from shared.messages.order import ClosePosition, PlaceOrder
from shared.messages.risk import RuleCheck
from shared.messages.strategy import OrderIntent
from shared.types import QuoteQuality, Right, SecurityType, Side, TimeInForce

ZERO, HALF = Decimal(0), Decimal("0.5")
MULTIPLIER = 100
_OCC_LENGTH = 21
_WIDE_TICK, _WIDE_FROM = Decimal("0.05"), Decimal(3)
_WORST_FIRST = (QuoteQuality.STALE, QuoteQuality.DELAYED, QuoteQuality.FROZEN, QuoteQuality.LIVE)


@dataclass(frozen=True, slots=True)
class Package:
    """A combination that is held or ordered. `entry` is the net limit it was approved at; `target` and `stop` are gain
    and loss from there at which it is closed, None: never."""

    legs: tuple[ComboLeg, ...]
    side: Side
    entry: Decimal
    target: Decimal | None
    stop: Decimal | None
    close_on: date | None

    def gain(self, price: Decimal) -> Decimal:
        """What closing at a net price brings, USD per share."""
        return (price - self.entry) * self.side.sign


def package_of(intent: OrderIntent, limit: Decimal) -> Package:
    return Package(
        legs=intent.legs,
        side=intent.side,
        entry=limit,
        target=intent.target_distance,
        stop=intent.stop_distance,
        close_on=intent.close_on,
    )


# Prices


def net_quote(symbol: str, legs: Sequence[ComboLeg], quotes: Mapping[str, Quote]) -> Quote | None:
    """What the combination is quoted at: as old and as good as its worst leg. None where a leg has no quote at all.

    Its bid is what selling it brings: the bids of the legs that are then sold less the asks of those that are bought;
    None where one of these is missing. Its ask likewise.
    """
    used = [quotes.get(leg.symbol) for leg in legs]
    found = [quote for quote in used if quote is not None]
    if len(found) < len(legs):
        return None
    bid = _net((quote.bid if leg.side is Side.BUY else quote.ask, leg) for leg, quote in zip(legs, found, strict=True))
    ask = _net((quote.ask if leg.side is Side.BUY else quote.bid, leg) for leg, quote in zip(legs, found, strict=True))
    return Quote(
        symbol=symbol,
        bid=bid,
        ask=ask,
        last=None,
        bid_size=None,
        ask_size=None,
        volume=None,
        time=min(quote.time for quote in found),
        quality=min((quote.quality for quote in found), key=_WORST_FIRST.index),
    )


def _net(prices: Iterable[tuple[Decimal | None, ComboLeg]]) -> Decimal | None:
    """The legs' prices together; None where there is none of a leg."""
    total = ZERO
    for price, leg in prices:
        if not price:
            return None
        total += leg.side.sign * leg.ratio * price
    return total


def crossed(bid: Decimal, ask: Decimal, side: Side, crossing: Decimal, tick: Decimal) -> Decimal:
    """The middle, worsened by `crossing` of the spread, on the tick that is less aggressive."""
    price = (bid + ask) / 2 + side.sign * crossing * (ask - bid)
    return round_down(price, tick) if side is Side.BUY else round_up(price, tick)


def tick_size(symbol: str, price: Decimal, settings: Settings) -> Decimal:
    """The step that prices of an instrument keep to; an option's is wider from 3 USD on (penny interval programme)."""
    return _WIDE_TICK if len(symbol) == _OCC_LENGTH and price >= _WIDE_FROM else settings.tick_size


def net_price(side: Side, price: Decimal) -> NetPrice:
    """A net price in the words of an order: what a buyer pays above zero is a debit, what a seller gets a credit."""
    effect = PriceEffect.DEBIT if (price >= 0) == (side is Side.BUY) else PriceEffect.CREDIT
    return NetPrice(effect=effect, amount=abs(price))


def worst_loss(legs: Sequence[ComboLeg], side: Side, price: Decimal) -> Decimal | None:
    """The most that one combination entered at a net price can lose at expiry, USD; None where there is no limit, or
    where it can't be told because legs are no options or expire on several days."""
    options = [(parse(leg.symbol), side.sign * leg.side.sign * leg.ratio) for leg in legs]
    if any(found.security_type is not SecurityType.OPTION for found, _ in options):
        return None
    calls = sum(count for found, count in options if found.right is Right.CALL)
    if len({found.expiry for found, _ in options}) != 1 or calls < 0:
        return None
    worth = [
        sum((count * _intrinsic(found.right, found.strike or ZERO, at) for found, count in options), ZERO)
        for at in (ZERO, *(found.strike or ZERO for found, _ in options))  # in between it is a straight line
    ]
    return (side.sign * price - min(worth)) * MULTIPLIER


def _intrinsic(right: Right | None, strike: Decimal, at: Decimal) -> Decimal:
    return max(at - strike if right is Right.CALL else strike - at, ZERO)


# Entries


@dataclass(frozen=True, slots=True)
class Offer:
    """A combination at risk's own price: `limit` is net, `loss` the most that one can lose in USD."""

    quote: Quote
    limit: Decimal
    loss: Decimal | None


def offer(intent: OrderIntent, quotes: Mapping[str, Quote], settings: Settings) -> Offer | None:
    """None where a leg has no bid or no ask."""
    quote = net_quote(intent.symbol, intent.legs, quotes)
    if quote is None or quote.bid is None or quote.ask is None:
        return None
    crossing = HALF if intent.crossing is None else intent.crossing
    limit = crossed(quote.bid, quote.ask, intent.side, crossing, settings.tick_size)
    return Offer(quote, limit, worst_loss(intent.legs, intent.side, limit))


def is_opposed(intent: OrderIntent, packages: Iterable[Package]) -> bool:
    """Whether a leg would take off what another combination holds: the broker nets the two, and neither can be left."""
    wanted = {leg.symbol: leg.side.sign * intent.side.sign for leg in intent.legs}
    held = ((leg.symbol, leg.side.sign * package.side.sign) for package in packages for leg in package.legs)
    return any(wanted.get(symbol, sign) != sign for symbol, sign in held)


def quantity(intent: OrderIntent, found: Offer | None, equity: Decimal | None, settings: Settings) -> Decimal:
    """Whole combinations: as many as the strategy wants, or as may be lost as a whole by `risk_per_trade`."""
    if intent.quantity is not None:
        return intent.quantity
    if found is None or equity is None or not found.loss or found.loss <= 0:
        return ZERO
    return shares(equity, found.loss, found.loss, settings.risk_per_trade, settings.max_position_fraction)


@rule()
def leg_quotes(proposal: Proposal, _: Settings) -> Finding:
    there = proposal.quote is not None
    return there, "all there" if there else "a leg has none", "bid and ask of every leg"


@rule("{} USD", "above 0, at most {} USD")
def max_loss(proposal: Proposal, settings: Settings) -> Finding:
    """`limit_price` is what one combination can lose; prices may have moved since the strategy told its `max_loss`."""
    told, loss = proposal.intent.max_loss, proposal.limit_price
    if told is None or loss is None:
        return False, "unlimited or unknown", "told by the strategy" if told is None else told
    limit = told * (1 + settings.price_collar)
    return 0 < loss <= limit, loss, limit


RULES = (
    rules.trading_state,
    rules.intent_expiry,
    rules.market_hours,
    rules.duplicate_intent,
    leg_quotes,
    rules.quote_quality,
    rules.stale_quote,
    max_loss,
    rules.max_positions,
    rules.minimum_size,
    rules.max_position_size,
    rules.max_order_value,
    rules.daily_loss,
)
"""Of a combination's Proposal `quote` is net and `limit_price` is what one can lose in USD, which the rules about size
take for its price. Its loss is limited without a stop."""


def place(
    order_id: str, proposal: Proposal, found: Offer, settings: Settings, checks: tuple[RuleCheck, ...]
) -> PlaceOrder:
    intent = proposal.intent
    return PlaceOrder(
        order_id=order_id,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        quantity=proposal.quantity,
        legs=intent.legs,
        net_price=net_price(intent.side, found.limit),
        time_in_force=TimeInForce.DAY,
        expires_at=min(intent.expires_at, proposal.now + timedelta(seconds=settings.approval_seconds)),
        checks=checks,
    )


# Exits


def exit_reason(package: Package, quote: Quote | None, today: date) -> str | None:
    """Why a combination is closed now: its last day has come, or closing brings its target or its stop. None: it stays.

    `quote` is net; `today` is the date in New York.
    """
    if package.close_on is not None and today >= package.close_on:
        return f"expiry: closed from {package.close_on} on"
    price = _closing_price(package, quote)
    if price is None:
        return None
    gain = package.gain(price)
    if package.target is not None and gain >= package.target:
        return f"target: {gain} USD a share gained, {package.target} wanted"
    if package.stop is not None and -gain >= package.stop:
        return f"stop: {-gain} USD a share lost, {package.stop} allowed"
    return None


def close(
    order_id: str, symbol: str, package: Package, quote: Quote | None, reason: str, settings: Settings
) -> ClosePosition | None:
    """Leave at the quote, and somewhat through it: waiting for a better price is for entries. None without a price."""
    price = _closing_price(package, quote)
    if price is None:
        return None
    side, tick = package.side.opposite, settings.tick_size
    limit = price + side.sign * abs(price) * settings.exit_slippage
    return ClosePosition(
        order_id=order_id,
        symbol=symbol,
        legs=package.legs,
        net_price=net_price(side, round_up(limit, tick) if side is Side.BUY else round_down(limit, tick)),
        reason=reason,
    )


def _closing_price(package: Package, quote: Quote | None) -> Decimal | None:
    if quote is None:
        return None
    return quote.bid if package.side is Side.BUY else quote.ask
