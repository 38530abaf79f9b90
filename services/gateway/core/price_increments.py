"""Prices and sizes that a contract can trade at: refused here with the remedy, before the broker answers 110.

Source: https://interactivebrokers.github.io/tws-api/minimum_increment.html (market rules).
"""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from shared.messages.broker_commands import ModifyOrder, OrderTerms
from shared.messages.market_requests import ContractFacts, PriceIncrement

_PRICES = ("limit_price", "trigger_price", "price_cap")


def step_at(increments: Sequence[PriceIncrement], price: Decimal) -> PriceIncrement:
    """The step that a price has to keep to; of a price below zero its distance from zero decides."""
    fitting = [step for step in increments if step.from_price <= abs(price)]
    return max(fitting or increments[:1], key=lambda step: step.from_price)


def fault(facts: ContractFacts, order: OrderTerms | ModifyOrder) -> str | None:
    """What is wrong with an order's prices and quantity, and what would do; None where nothing is.

    A combination is left to the broker: its net price has steps of its own, which no market rule tells.
    """
    if isinstance(order, OrderTerms) and order.legs:
        return None
    for name in _PRICES:
        price: Decimal | None = getattr(order, name, None)
        if price is not None and (problem := _off_step(facts, name, price)) is not None:
            return problem
    return None if order.quantity is None else _off_size(facts, order.quantity)


def _off_step(facts: ContractFacts, name: str, price: Decimal) -> str | None:
    step = step_at(facts.increments, price)
    below = (price / step.increment).to_integral_value(ROUND_FLOOR) * step.increment
    if price == below:
        return None
    return (
        f"{name} = {price} of {facts.symbol} is not a multiple of {step.increment}, its step from {step.from_price} "
        f"{facts.currency} on; the nearest are {below} and {below + step.increment}"
    )


def _off_size(facts: ContractFacts, quantity: Decimal) -> str | None:
    if quantity < facts.minimum_size:
        return f"quantity = {quantity} of {facts.symbol} is too small; it trades from {facts.minimum_size} on"
    if quantity % facts.size_increment:
        return f"quantity = {quantity} of {facts.symbol} is not a multiple of {facts.size_increment}, its increment"
    return None
