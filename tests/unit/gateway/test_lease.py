"""The arithmetic of the lease, and that nobody may send without it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.lease import Held, Hold, is_alive
from services.gateway.lease import Lease, LeaseLost
from services.gateway.ports import BrokerLost

SECONDS = st.floats(1, 300)
TIMES = st.floats(0, 1e6)


@given(seconds=SECONDS, asked=TIMES, later=st.floats(0, 1e4))
def test_the_holder_stops_when_half_of_its_time_is_over_and_renews_before(
    seconds: float, asked: float, later: float
) -> None:
    hold = Hold(1, seconds, asked)
    now = asked + later
    may_send = hold.seconds_left(now) > 0
    assert may_send is (later < seconds / 2) or abs(later - seconds / 2) < 1e-6
    if hold.renewal_due(now):
        assert may_send, "a lease is renewed before it ceases to count"


@given(seconds=SECONDS, asked=TIMES, answered=st.floats(0, 100))
def test_a_slow_answer_gives_no_time_of_its_own(seconds: float, asked: float, answered: float) -> None:
    """The database counts from some moment between question and answer, the holder from its question."""
    expires_for_others = asked + seconds  # at the earliest
    stops = asked + answered + Hold(1, seconds, asked).seconds_left(asked + answered)
    assert stops <= expires_for_others - seconds / 2 + 1e-6


def test_only_a_lease_that_moves_has_somebody_behind_it() -> None:
    then = datetime(2026, 11, 21, tzinfo=UTC)
    first = Held("a:1", 3, then)
    assert not is_alive(first, first)
    assert is_alive(first, Held("a:1", 3, then + timedelta(seconds=5)))
    assert is_alive(first, Held("b:2", 4, then))


def test_a_lease_that_was_never_taken_lets_nothing_out() -> None:
    lease = Lease("postgresql://nowhere", "gateway", "me", 15)
    with pytest.raises(LeaseLost, match="nothing is sent") as lost:
        lease.check()
    assert isinstance(lost.value, BrokerLost), "whoever sends knows what to do with it"
    assert not lease.is_valid()
