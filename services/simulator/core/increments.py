"""Market rules: the smallest price steps, by price, and the sizes that instruments trade in.

Rule ids and steps as reqMarketRule reports them for IBKR's contracts where they are published:
- 26: stocks, 0.01. 557: stocks that may trade below 1 USD, 0.0001 below (SEC rule 612), 0.01 from 1 USD on.
- 110: equity options, 0.01 below 3 USD and 0.05 above (the options exchanges' penny interval programme).
- 32: options on the three most traded ETFs, 0.01 everywhere (the same programme).
- 239: currency pairs, 0.00005. 67: index futures in steps of 0.25; 85 in 0.1; 69 in 1.0.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


@dataclass(frozen=True, slots=True)
class PriceStep:
    """From `low_edge` upward prices are multiples of `increment`."""

    low_edge: Decimal
    increment: Decimal


def _rule(*steps: tuple[str, str]) -> tuple[PriceStep, ...]:
    return tuple(PriceStep(Decimal(edge), Decimal(increment)) for edge, increment in steps)


STOCK_RULE, PENNY_STOCK_RULE, OPTION_RULE, PENNY_OPTION_RULE, CURRENCY_RULE = 26, 557, 110, 32, 239
MARKET_RULES: dict[int, tuple[PriceStep, ...]] = {
    STOCK_RULE: _rule(("0", "0.01")),
    PENNY_STOCK_RULE: _rule(("0", "0.0001"), ("1", "0.01")),
    OPTION_RULE: _rule(("0", "0.01"), ("3", "0.05")),
    PENNY_OPTION_RULE: _rule(("0", "0.01")),
    CURRENCY_RULE: _rule(("0", "0.00005")),
    67: _rule(("0", "0.25")),
    69: _rule(("0", "1")),
    85: _rule(("0", "0.1")),
}


def increment_of(rule: int, price: Decimal) -> Decimal:
    """Return the price step at `price` (its distance from zero counts). Raises KeyError for an unknown rule."""
    steps: Sequence[PriceStep] = MARKET_RULES[rule]
    index = bisect_right(steps, abs(price), key=lambda step: step.low_edge) - 1
    return steps[max(0, index)].increment


def on_grid(rule: int, price: Decimal) -> bool:
    return price % increment_of(rule, price) == 0


def round_down(rule: int, price: Decimal) -> Decimal:
    """Return the highest valid price at or below `price`."""
    step = increment_of(rule, price)
    return (price / step).to_integral_value(ROUND_FLOOR) * step


def round_up(rule: int, price: Decimal) -> Decimal:
    """Return the lowest valid price at or above `price`."""
    step = increment_of(rule, price)
    return (price / step).to_integral_value(ROUND_CEILING) * step
