"""The book behind the best bid and ask.

Assumptions: eight prices a side, one price step apart; each further price shows a quarter more than the one before,
times a factor between 0.5 and 1.5 that level and tick decide. In a halt the book stands still; an index has none.
"""

from collections.abc import Sequence
from decimal import Decimal

from services.simulator.core.increments import increment_of, round_down, round_up
from services.simulator.core.tape import Level, Tape

LEVELS = 8
_SCATTER = 2_654_435_761
"""Knuth's multiplicative hash constant: spreads neighbouring levels and ticks over all factors."""


def ladder(tape: Tape, index: int, rule: int) -> tuple[Sequence[Level], Sequence[Level]]:
    """Return bids and asks at a tick, best first; the best levels are the tape's own bid and ask.

    A side on which nothing is shown is empty; bids end above zero.
    """
    bid, bid_size = tape.price(int(tape.bid[index])), int(tape.bid_size[index])
    ask, ask_size = tape.price(int(tape.ask[index])), int(tape.ask_size[index])
    return _side(bid, bid_size, -1, index, rule), _side(ask, ask_size, 1, index, rule)


def _side(price: Decimal, size: int, direction: int, index: int, rule: int) -> list[Level]:
    if price <= 0 or size <= 0:
        return []
    lot = _lot(size)
    levels = [Level(price, size)]
    for number in range(1, LEVELS):
        step = increment_of(rule, price)
        price = round_up(rule, price + step) if direction > 0 else round_down(rule, price - step)
        if price <= 0:
            break
        jitter = ((index * LEVELS + number) * _SCATTER % (1 << 32) >> 16) % 101
        shown = size * (100 + 25 * number) * (50 + jitter) // 10_000 // lot * lot
        levels.append(Level(price, max(lot, shown)))
    return levels


def _lot(size: int) -> int:
    """Return the round lot that a size is a multiple of: a currency's 100,000, a stock's 100, or 1."""
    return next(lot for lot in (100_000, 100, 1) if size % lot == 0)
