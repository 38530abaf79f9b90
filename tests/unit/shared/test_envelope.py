"""Identity and lineage of messages."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.messages.base import follow, originate
from shared.messages.control import Halt

NOW = datetime(2015, 6, 1, 14, tzinfo=UTC)
HALT = Halt(actor="trader", reason="test")


def test_the_same_fact_gets_the_same_id_and_another_fact_another() -> None:
    first, again, other = (
        originate(HALT, source="cli", time=NOW + timedelta(seconds=second), subject="x", key=key)
        for second, key in ((0, "a"), (9, "a"), (0, "b"))
    )
    assert first.id == again.id != other.id
    assert (first.correlationid, first.causationid) == (first.id, None)


def test_what_follows_carries_its_cause_and_the_first_of_the_chain() -> None:
    first = originate(HALT, source="cli", time=NOW, subject="x", key="a")
    second = follow(first, HALT, source="risk", time=NOW, subject="x")
    third = follow(second, HALT, source="risk", time=NOW, subject="x", key="other")
    assert (second.causationid, second.correlationid) == (first.id, first.id)
    assert (third.causationid, third.correlationid) == (second.id, first.id)
    assert follow(first, HALT, source="risk", time=NOW + timedelta(days=1), subject="x").id == second.id
    assert follow(first, HALT, source="risk", time=NOW, subject="x", key="2").id != second.id


def test_a_time_without_zone_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match=r"time 2015-06-01T14:00:00 of a Halt has no zone; make it UTC"):
        originate(HALT, source="cli", time=NOW.replace(tzinfo=None), subject="x", key="a")
