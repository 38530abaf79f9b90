"""IBKR's numbers as ours and back. Unset doubles and -1 prices end here."""

from decimal import Decimal
from functools import lru_cache
from math import isfinite

from ib_async.util import UNSET_DOUBLE


@lru_cache(maxsize=1 << 16)
def decimal(value: float) -> Decimal:
    """The decimal number that IBKR wrote: the shortest one that is this double."""
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))


def number(value: float) -> Decimal:
    """As `decimal`. Raises ValueError for what must be there and is no number, or unset."""
    found = decimal_or_none(value)
    if found is None:
        raise ValueError(f"{value} is no number")
    return found


def decimal_or_none(value: float | Decimal | None) -> Decimal | None:
    """None for IBKR's unset double and for anything that is no number."""
    if value is None or value == UNSET_DOUBLE or not isfinite(value):
        return None
    return value if isinstance(value, Decimal) else decimal(value)


def price_or_none(value: float | None) -> Decimal | None:
    """None where there is no price: IBKR sends -1 or 0 for a side of a stock's market that is empty."""
    return decimal(value) if value is not None and isfinite(value) and value > 0 and value != UNSET_DOUBLE else None


def size_or_none(value: float | None) -> Decimal | None:
    return decimal(value) if value is not None and isfinite(value) and value >= 0 else None


def written(value: Decimal) -> Decimal:
    """The same number without an exponent, which IBKR can't read; no price or size is below 0.000001."""
    return Decimal(format(value, "f"))
