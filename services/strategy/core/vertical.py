"""Vertical option spreads: what a strategy declares of them, and which two options of a chain it gets.

A vertical has a near leg, at the delta that is wanted, and a far leg of the same expiry and right that limits its loss:
calls higher, puts lower. Its combination always buys the near leg and sells the far one; a debit spread buys the
combination, a credit spread sells it.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.strategy.core.host import Instance
from services.strategy.core.strategy import Distance, Strategy
from shared.config import ConfigError
from shared.instruments import option
from shared.messages.broker_commands import ComboLeg
from shared.messages.market import Quote
from shared.messages.strategy import OrderIntent
from shared.types import Right, Side

CENT = Decimal("0.01")
MULTIPLIER = 100
"""Shares to an option; what splits have adjusted is not traded."""
_LOOKED_AT = Decimal("0.3")
"""Strikes farther from the underlying's price than this fraction are not considered."""

Chain: TypeAlias = Mapping[date, Sequence[Decimal]]
"""Listed expiries -> their strikes, USD, rising."""
QuoteOf: TypeAlias = Callable[[str], Quote | None]
"""An option's OCC symbol -> its fresh quote with Greeks, None where there is none."""


class VerticalKind(StrEnum):
    BULL_CALL_DEBIT = "bull_call_debit"
    BEAR_PUT_DEBIT = "bear_put_debit"
    BULL_PUT_CREDIT = "bull_put_credit"
    BEAR_CALL_CREDIT = "bear_call_credit"

    @property
    def right(self) -> Right:
        calls = (VerticalKind.BULL_CALL_DEBIT, VerticalKind.BEAR_CALL_CREDIT)
        return Right.CALL if self in calls else Right.PUT

    @property
    def side(self) -> Side:
        """What is done with the combination."""
        debits = (VerticalKind.BULL_CALL_DEBIT, VerticalKind.BEAR_PUT_DEBIT)
        return Side.BUY if self in debits else Side.SELL


class Vertical(BaseModel):
    """Which options make the vertical, at what price it is entered, and when it is closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_days: int = Field(
        default=21, ge=1, le=365, description="calendar days to expiry, at least; the first expiry is taken"
    )
    max_days: int = Field(default=60, ge=1, le=730, description="calendar days to expiry, at most")
    delta: float = Field(default=0.5, ge=0.05, le=0.95, description="of the near leg, without its sign")
    width: float = Field(
        default=0.05, ge=0.005, le=0.3, description="between the strikes, as a fraction of the underlying's price"
    )
    profit_target: float = Field(
        default=0.5, gt=0, le=1, description="gain at which it is closed, as a fraction of the most"
    )
    stop_loss: float = Field(
        default=0.5, gt=0, le=1, description="loss at which it is closed, as a fraction of the most"
    )
    exit_days: int = Field(default=5, ge=0, le=60, description="calendar days before expiry at which it is closed")
    crossing: Decimal = Field(
        default=Decimal("0.35"),
        ge=0,
        le=Decimal("0.5"),
        description="of the quoted spread, that an entry's limit gives up against the middle; 0.5 is all",
    )

    @model_validator(mode="after")
    def _days_in_order(self) -> "Vertical":
        if not self.exit_days < self.min_days <= self.max_days:
            raise ValueError(
                f"exit_days = {self.exit_days}, min_days = {self.min_days} and max_days = {self.max_days} must rise"
                " in this order (the last two may be equal)"
            )
        return self

    def takes(self, expiry: date, today: date) -> bool:
        """Whether an expiry is in the range of days."""
        return self.min_days <= (expiry - today).days <= self.max_days


class SpreadStrategy(Strategy):
    """A strategy whose signals on the underlying's bars are traded as verticals of one kind; these have the exits."""

    kind: ClassVar[VerticalKind]

    vertical: Vertical = Vertical()
    stop: Distance | None = Field(default=None, description="none: the vertical limits the loss")
    target: Distance | None = Field(default=None, description="none: the vertical has one of its own")

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Raises TypeError for a strategy that does not say which vertical it trades."""
        super().__init_subclass__(**keywords)
        if not hasattr(cls, "kind"):
            raise TypeError(f"{cls.__name__} does not say what it trades; add kind: ClassVar = VerticalKind...")

    @model_validator(mode="after")
    def _exits_are_the_verticals(self) -> "SpreadStrategy":
        if self.stop is not None:
            raise ValueError("stop is set; a spread has vertical.stop_loss and vertical.profit_target instead")
        return self


@dataclass(frozen=True, slots=True)
class Package:
    """A vertical that can be traded now. Prices are net in USD per share of the underlying, `limit` rounded to cents
    away from aggression; `max_profit` and `max_loss` are at that limit."""

    legs: tuple[ComboLeg, ComboLeg]
    side: Side
    expiry: date
    limit: Decimal
    max_profit: Decimal
    max_loss: Decimal


@dataclass(frozen=True, slots=True)
class NoPackage:
    """Why there is none: `code` for counting, `reason` for people."""

    code: str
    reason: str


def select(
    strategy: SpreadStrategy, symbol: str, price: Decimal, chain: Chain, quote_of: QuoteOf, today: date
) -> Package | NoPackage:
    """The strategy's vertical on `symbol`, whose price is `price` USD, as of `today` (New York)."""
    vertical, right = strategy.vertical, strategy.kind.right
    expiry = min((day for day in chain if vertical.takes(day, today)), default=None)
    if expiry is None:
        days = f"{vertical.min_days} to {vertical.max_days}"
        return NoPackage("no_expiry", f"{symbol} has no options that expire in {days} days")

    @cache
    def quoted(strike: Decimal) -> Quote | None:
        quote = quote_of(option(symbol, expiry, right, strike).name)
        return quote if quote and quote.bid and quote.ask else None

    near = _at_delta(
        [strike for strike in chain[expiry] if abs(strike - price) <= price * _LOOKED_AT], right, quoted, vertical.delta
    )
    if near is None or (near_quote := quoted(near)) is None:
        return NoPackage("no_quote", f"no {right} of {symbol} {expiry} has a quote and a delta")
    far = _at_width(chain[expiry], near, float(price) * vertical.width, right)
    if far is None or (far_quote := quoted(far)) is None:
        return NoPackage("no_quote", f"the far leg of {symbol} {expiry} {right} {near}, {far or 'none'}, has no quote")
    return _priced(strategy, expiry, near_quote, far_quote, abs(far - near))


def _at_delta(
    strikes: Sequence[Decimal], right: Right, quoted: Callable[[Decimal], Quote | None], delta: float
) -> Decimal | None:
    """The strike whose delta is nearest. Deltas rise into the money; an option without a quote counts as far out."""

    def size(strike: Decimal) -> float:
        quote = quoted(strike)
        return abs(quote.greeks.delta) if quote and quote.greeks else 0.0

    rising = strikes if right is Right.PUT else strikes[::-1]
    place = bisect_left(rising, delta, key=size)
    return min(rising[max(place - 1, 0) : place + 1], key=lambda strike: abs(size(strike) - delta), default=None)


def _at_width(strikes: Sequence[Decimal], near: Decimal, width: float, right: Right) -> Decimal | None:
    """The strike beyond `near` whose distance is nearest to `width`."""
    beyond = [strike for strike in strikes if (strike > near if right is Right.CALL else strike < near)]
    return min(beyond, key=lambda strike: abs(float(abs(strike - near)) - width), default=None)


def _priced(strategy: SpreadStrategy, expiry: date, near: Quote, far: Quote, width: Decimal) -> Package | NoPackage:
    assert near.bid and near.ask and far.bid and far.ask  # noqa: S101, PT018 - both are quoted
    bid, ask, side = near.bid - far.ask, near.ask - far.bid, strategy.kind.side
    limit = limit_price(bid, ask, side, strategy.vertical.crossing)
    if not 0 < limit < width:
        code, legs = "no_profit", f"{near.symbol} and {far.symbol}"
        return NoPackage(code, f"{legs} at {limit}: not between 0 and {width}, the distance of the strikes")
    kept, lost = (width - limit, limit) if side is Side.BUY else (limit, width - limit)
    legs = (ComboLeg(symbol=near.symbol, side=Side.BUY), ComboLeg(symbol=far.symbol, side=Side.SELL))
    return Package(legs, side, expiry, limit, max_profit=kept, max_loss=lost)


def limit_price(bid: Decimal, ask: Decimal, side: Side, crossing: Decimal) -> Decimal:
    """The middle, worsened by `crossing` of the spread, on the cent that is less aggressive."""
    price = (bid + ask) / 2 + side.sign * crossing * (ask - bid)
    return price.quantize(CENT, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)


def refuse_spreads(instances: Sequence[Instance], because: str) -> None:
    """Make sure that none of them trades verticals.

    Raises:
        ConfigError: one does.
    """
    for instance in instances:
        if isinstance(instance.strategy, SpreadStrategy):
            raise ConfigError(f"instance {instance.name!r} trades option spreads: {because}")


def package_intent(entry: OrderIntent, strategy: SpreadStrategy, package: Package) -> OrderIntent:
    """The intent to enter `package`, made from the entry intent that the signal led to."""
    vertical = strategy.vertical
    return entry.model_copy(
        update={
            "side": package.side,
            "legs": package.legs,
            "max_loss": package.max_loss * MULTIPLIER,
            "target_distance": _part(package.max_profit, vertical.profit_target),
            "stop_distance": _part(package.max_loss, vertical.stop_loss),
            "close_on": package.expiry - timedelta(days=vertical.exit_days),
            "crossing": vertical.crossing,
            "reason": f"{entry.reason}; {strategy.kind} expiring {package.expiry}",
        }
    )


def _part(whole: Decimal, fraction: float) -> Decimal:
    return max((whole * Decimal(repr(fraction))).quantize(CENT), CENT)
