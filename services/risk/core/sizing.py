"""How many shares, and at which prices.

Invariants:
1. A stop that fills at its price loses at most `risk_per_trade` of equity, before costs.
2. Prices are on the tick, rounded away from aggression: a buy's limit never up past the price it was made from.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def shares(
    equity: Decimal, price: Decimal, stop_distance: Decimal, risk_per_trade: Decimal, max_fraction: Decimal
) -> Decimal:
    """Whole shares to buy or sell: by the loss at the stop, at most `max_fraction` of equity in value.

    Args:
        equity: USD. price, stop_distance: USD per share, above 0. risk_per_trade, max_fraction: fractions of equity.
    """
    by_risk = equity * risk_per_trade / stop_distance
    by_value = equity * max_fraction / price
    return max(min(by_risk, by_value), Decimal(0)).to_integral_value(ROUND_FLOOR)


def round_down(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_FLOOR) * tick


def round_up(price: Decimal, tick: Decimal) -> Decimal:
    return (price / tick).to_integral_value(ROUND_CEILING) * tick
