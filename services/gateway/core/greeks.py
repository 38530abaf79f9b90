"""Sensitivities of an option: the broker's own where it tells them, else of a model, from the quote.

The model is `shared.options`: American, without dividends, with the volatility that the middle of the option's bid
and ask implies. Time to expiry is in calendar days, to the close of the expiry day, as in the prices of IBKR's model
(assumed). IBKR writes -1 or -2 for what it has not computed, or nothing at all
(https://interactivebrokers.github.io/tws-api/option_computations.html).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from math import isfinite

from shared import options
from shared.calendar import NEW_YORK, session_hours
from shared.instruments import Instrument
from shared.messages.market import Greeks, GreeksSource

_SECONDS_OF_YEAR = options.DAYS * 86_400
_UNSET = 1e300
_USUAL_CLOSE = time(16)


@dataclass(frozen=True, slots=True)
class Computation:
    """What the broker says of an option, as the wire has it: yearly volatility, vega per point, theta per day."""

    implied_volatility: float
    delta: float
    gamma: float
    vega: float
    theta: float
    underlying_price: float


def told(computation: Computation) -> Greeks | None:
    """The broker's figures; None where it has not computed all of them."""
    iv, delta, gamma = computation.implied_volatility, computation.delta, computation.gamma
    vega, theta, underlying = computation.vega, computation.theta, computation.underlying_price
    known = all(isfinite(value) and abs(value) < _UNSET for value in (iv, delta, gamma, vega, theta, underlying))
    # theta may be below -1; a delta of -1 is a deep put's and no mark, but then gamma is no negative number
    if not known or iv <= 0 or underlying <= 0 or not -1 <= delta <= 1 or gamma < 0 or vega < 0:
        return None
    return Greeks(
        implied_volatility=iv,
        delta=delta,
        gamma=gamma,
        vega=vega,
        theta=theta,
        underlying_price=Decimal(repr(underlying)),
        source=GreeksSource.BROKER,
    )


def computed(option: Instrument, middle: float, spot: float, now: datetime, rate: float) -> Greeks | None:
    """The model's figures of an option that is worth `middle` (USD per share) while its underlying is at `spot`.

    None where no volatility gives that price, and on and after the last moment of the option.
    """
    if option.expiry is None or option.strike is None or option.right is None or middle <= 0 or spot <= 0:
        return None
    years = (_expires(option) - now).total_seconds() / _SECONDS_OF_YEAR
    if years <= 0:
        return None
    right, strike = option.right.value, float(option.strike)
    (volatility,) = options.implied_volatilities(right, spot, strike, years, [middle], rate)
    if volatility is None:
        return None
    (found,) = options.greeks(right, spot, strike, years, [volatility], rate)
    return Greeks(
        implied_volatility=found.volatility,
        delta=found.delta,
        gamma=found.gamma,
        vega=found.vega,
        theta=found.theta,
        underlying_price=Decimal(repr(spot)),
        source=GreeksSource.MODEL,
    )


def _expires(option: Instrument) -> datetime:
    """The close of the expiry day; at 16:00 New York time where the calendar does not know the day."""
    assert option.expiry is not None  # noqa: S101 - the caller has looked
    try:
        hours = session_hours(option.expiry)
    except ValueError:  # more than a year ahead
        hours = None
    return hours[1] if hours else datetime.combine(option.expiry, _USUAL_CLOSE, NEW_YORK).astimezone(UTC)
