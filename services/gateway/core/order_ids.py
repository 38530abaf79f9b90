"""Broker order ids: reserved three at a time, never used twice."""

from collections.abc import Mapping
from typing import NamedTuple

STOP_SUFFIX = ".stop"
TARGET_SUFFIX = ".target"


class BracketIds(NamedTuple):
    """The broker's order ids of a bracket."""

    entry: int
    stop: int
    target: int


def references(order_id: str) -> tuple[str, str, str]:
    """orderRefs of a bracket: entry, stop, target."""
    return order_id, order_id + STOP_SUFFIX, order_id + TARGET_SUFFIX


def reserve(next_valid_id: int, claimed: Mapping[str, int]) -> BracketIds:
    """The next three ids: above what the broker says is free and above all that were ever claimed (orderRef -> id)."""
    first = max(next_valid_id, 1, max(claimed.values(), default=0) + 1)
    return BracketIds(first, first + 1, first + 2)


def claimed_ids(order_id: str, claimed: Mapping[str, int]) -> BracketIds | None:
    """The ids that an earlier attempt claimed for this bracket, None when there was none."""
    entry, stop, target = references(order_id)
    return BracketIds(claimed[entry], claimed[stop], claimed[target]) if entry in claimed else None
