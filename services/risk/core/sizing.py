"""How many shares, and at which prices.

Invariants:
1. A stop, where there is one, that fills at its price loses at most `risk_per_trade` of equity, before costs.
2. Prices are on the tick, rounded away from aggression: a buy's limit never up past the price it was made from.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from shared.types import Side


def shares(
    equity: Decimal, price: Decimal, stop_distance: Decimal | None, risk_per_trade: Decimal, max_fraction: Decimal
) -> Decimal:
    """Whole shares to buy or sell: by the loss at the stop if there is one, at most `max_fraction` of equity in value.

    Args:
        equity: USD. price, stop_distance: USD per share, above 0. risk_per_trade, max_fraction: fractions of equity.
    """
    size = equity * max_fraction / price
    if stop_distance is not None:
        size = min(size, equity * risk_per_trade / stop_distance)
    return max(size, Decimal(0)).to_integral_value(ROUND_FLOOR)


def stop_price(side: Side, limit: Decimal, distance: Decimal, tick: Decimal) -> Decimal:
    """Where an entry on this side is stopped, USD: at most `distance` away, and above zero."""
    return max(round_up(limit - distance, tick), tick) if side is Side.BUY else round_down(limit + distance, tick)


def target_price(side: Side, limit: Decimal, distance: Decimal, tick: Decimal) -> Decimal:
    """Where an entry on this side has won enough, USD: at least `distance` away, and above zero."""
    return round_up(limit + distance, tick) if side is Side.BUY else max(round_down(limit - distance, tick), tick)


def round_down(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_FLOOR) * tick


def round_up(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_CEILING) * tick
