"""The session's states: the table of moves, troubles, and what is told of an outage."""

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.core import notices
from services.gateway.core.skew import skew
from services.gateway.core.states import CLOCK, LINK, MOVES, RIVAL, Change, Happening, States
from shared.types import SessionState

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
WINDOW = "until 01:45 New York"
LATER = NOW + timedelta(seconds=5)


def ready() -> States:
    states = States(NOW)
    states.happen(Happening.ATTEMPTED, "here", NOW)
    states.happen(Happening.ACCEPTED, "connected", NOW)
    states.synchronise(NOW)
    assert states.ready
    return states


def told(*changes: Change | None) -> list[SessionState]:
    return [change.state for change in changes if change is not None]


def test_the_table_knows_every_state_and_leads_only_to_known_ones() -> None:
    assert set(MOVES) == set(SessionState)
    assert {target for moves in MOVES.values() for target in moves.values()} == set(SessionState)
    assert all(Happening.STOPPED in moves for moves in MOVES.values())


@pytest.mark.parametrize("state", SessionState)
def test_nothing_but_a_synchronised_connection_becomes_ready(state: SessionState) -> None:
    leading = {happening for happening, target in MOVES[state].items() if target is SessionState.READY}
    assert leading <= {Happening.SOUND}
    if state in (SessionState.DISCONNECTED, SessionState.CONNECTING, SessionState.AWAITING_LOGIN):
        assert not leading


def test_a_session_begins_by_way_of_synchronising() -> None:
    states = States(NOW)
    changes = [
        states.happen(Happening.ATTEMPTED, "here", NOW),
        states.happen(Happening.ACCEPTED, "connected", LATER),
        states.synchronise(LATER),
    ]
    assert told(*changes) == [SessionState.CONNECTING, SessionState.SYNCHRONISING, SessionState.READY]
    assert [change.since for change in changes if change] == [NOW, LATER, LATER]
    assert (states.ready, states.synchronised) == (True, True)


def test_a_lost_link_forbids_everything_until_all_is_synchronised_again() -> None:
    states = ready()
    lost = states.trouble(LINK, "1100", LATER)
    assert lost == Change(SessionState.DEGRADED, "1100", LATER, expected=False)
    assert (states.ready, states.synchronised, states.link_lost) == (False, False, True)
    assert states.trouble(LINK, "1100", LATER) is None  # TWS repeats it every few seconds
    assert told(states.link_restored("1102", LATER), states.synchronise(LATER)) == [
        SessionState.SYNCHRONISING,
        SessionState.READY,
    ]


@pytest.mark.parametrize(
    ("kind", "state"),
    [("usfarm", SessionState.DEGRADED), (CLOCK, SessionState.DEGRADED), (RIVAL, SessionState.COMPETING)],
)
def test_a_smaller_trouble_leaves_the_session_linked(kind: str, state: SessionState) -> None:
    states = ready()
    assert told(states.trouble(kind, "why", LATER)) == [state]
    assert (states.ready, states.synchronised, states.reason) == (False, True, "why")
    assert told(states.relief(kind, LATER)) == [SessionState.READY]
    assert states.relief(kind, LATER) is None


def test_ready_again_only_when_no_farm_is_down_any_more() -> None:
    states = ready()
    states.trouble("usfarm", "2103 usfarm", NOW)
    assert told(states.trouble("ushmds", "2105 ushmds", NOW)) == [SessionState.DEGRADED]
    assert states.reason == "2103 usfarm; 2105 ushmds"
    assert told(states.relief("usfarm", NOW)) == [SessionState.DEGRADED]
    assert told(states.relief("ushmds", NOW)) == [SessionState.READY]


def test_the_worst_trouble_decides() -> None:
    states = ready()
    states.trouble("usfarm", "farm", NOW)
    states.trouble(RIVAL, "rival", NOW)
    assert states.state is SessionState.COMPETING
    states.trouble(LINK, "link", NOW)
    assert (states.state, states.synchronised) == (SessionState.DEGRADED, False)
    states.relief(RIVAL, NOW)
    states.relief("usfarm", NOW)
    assert (states.state, states.reason) == (SessionState.DEGRADED, "link")


def test_a_farm_that_was_down_on_connecting_makes_it_degraded_and_not_ready() -> None:
    states = States(NOW)
    states.happen(Happening.ATTEMPTED, "here", NOW)
    assert states.trouble("usfarm", "2103", NOW) is None
    states.happen(Happening.ACCEPTED, "connected", NOW)
    assert states.trouble("ushmds", "2105", NOW) is None
    assert told(states.synchronise(NOW)) == [SessionState.DEGRADED]
    assert states.synchronised


def test_a_link_that_was_lost_before_the_connection_stood_is_waited_for() -> None:
    states = States(NOW)
    states.happen(Happening.ATTEMPTED, "here", NOW)
    assert states.trouble(LINK, "2110", NOW) is None
    assert told(states.happen(Happening.ACCEPTED, "connected", NOW)) == [SessionState.DEGRADED]
    assert not states.synchronised


def test_a_new_connection_knows_nothing_of_the_troubles_of_the_last() -> None:
    states = ready()
    states.trouble("usfarm", "2103", NOW)
    states.happen(Happening.LOST, "gone", NOW)
    states.happen(Happening.ATTEMPTED, "here", NOW)
    states.happen(Happening.ACCEPTED, "connected", NOW)
    assert told(states.synchronise(NOW)) == [SessionState.READY]


def test_one_outage_is_one_story_however_often_it_is_tried() -> None:
    states = ready()
    changes = [states.happen(Happening.LOST, "reset by peer", NOW)]
    for _ in range(50):
        changes.append(states.happen(Happening.ATTEMPTED, "here", NOW))
        changes.append(states.happen(Happening.LOST, "refused", NOW))
    assert told(*changes) == [SessionState.DISCONNECTED, SessionState.CONNECTING, SessionState.CONNECTING]
    assert [change.reason for change in changes if change] == ["reset by peer", "here", "refused"]
    for _ in range(50):  # accepted, and lost again before it was synchronised
        changes = [
            states.happen(Happening.ATTEMPTED, "here", NOW),
            states.happen(Happening.ACCEPTED, "connected", NOW),
            states.happen(Happening.LOST, "no answer", NOW),
        ]
    assert told(*changes) == []
    assert states.state is SessionState.DISCONNECTED


def test_a_login_is_awaited_without_an_end_and_without_a_flood() -> None:
    states = States(NOW)
    changes: list[Change | None] = []
    for _ in range(50):
        changes.append(states.happen(Happening.ATTEMPTED, "here", NOW))
        changes.append(states.happen(Happening.LOGIN_AWAITED, "silent", NOW))
    assert told(*changes) == [SessionState.CONNECTING, SessionState.AWAITING_LOGIN]
    assert told(states.happen(Happening.ACCEPTED, "connected", NOW)) == [SessionState.SYNCHRONISING]


def test_an_outage_in_the_announced_hours_is_held_as_degraded_and_expected() -> None:
    states = ready()
    changes = [states.happen(Happening.LOST_IN_RESET, "closed", NOW, WINDOW)]
    for _ in range(20):
        changes.append(states.happen(Happening.ATTEMPTED, "here", NOW, WINDOW))
        changes.append(states.happen(Happening.LOST_IN_RESET, "closed", NOW, WINDOW))
    (only,) = (change for change in changes if change)
    assert only == Change(SessionState.DEGRADED, f"expected reset window ({WINDOW}): closed", NOW, expected=True)
    assert (states.ready, states.synchronised) == (False, False)
    states.happen(Happening.ACCEPTED, "connected", NOW, WINDOW)
    back = states.synchronise(NOW, WINDOW)
    assert back is not None
    assert back.expected
    states.trouble("usfarm", "2103", NOW)
    after = states.relief("usfarm", NOW)
    assert after is not None
    assert not after.expected, "the next outage is another story"


def test_an_outage_that_outlasts_the_announced_hours_is_an_alarm() -> None:
    states = ready()
    states.trouble(LINK, "1100", NOW, WINDOW)
    late = states.happen(Happening.LOST, "closed", NOW)
    assert late == Change(SessionState.DISCONNECTED, "closed", NOW, expected=False)
    states.happen(Happening.ATTEMPTED, "here", NOW)
    states.happen(Happening.ACCEPTED, "connected", NOW)
    back = states.synchronise(NOW)
    assert back is not None
    assert not back.expected


@pytest.mark.parametrize("trouble", [LINK, "usfarm", RIVAL])
def test_a_clean_stop_ends_every_story(trouble: str) -> None:
    states = ready()
    states.trouble(trouble, "why", NOW)
    assert told(states.happen(Happening.STOPPED, "stopped", NOW)) == [SessionState.DISCONNECTED]
    assert not states.synchronised


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Market data farm connection is broken:usfarm", "usfarm"),
        ("Sec-def data farm connection is OK:secdefnj", "secdefnj"),
        ("HMDS data farm connection is inactive but should be available upon demand.ushmds", "ushmds"),
        ("a notice without a name", "a notice without a name"),
    ],
)
def test_a_notice_names_its_farm(text: str, name: str) -> None:
    assert notices.farm(text) == name


def test_the_return_of_the_link_lists_the_farms_that_are_connected() -> None:
    text = "Connectivity has been restored - data maintained. All data farms are connected: usfarm; ushmds; secdefnj."
    assert notices.connected_farms(text) == {"usfarm", "ushmds", "secdefnj"}
    assert notices.connected_farms("Connectivity has been restored - data lost.") == frozenset()


@pytest.mark.parametrize(
    ("broker", "asked", "answered", "expected"),
    [
        (0.0, 0.2, 0.3, 0),  # whole seconds: it is anywhere in that second
        (0.0, 0.999, 0.999, 0),
        (0.0, 1.5, 1.6, -0.5),
        (3.0, 0.5, 0.75, 2.25),
        (-20.0, 0.0, 0.1, -19),
        (5.0, 0.0, 9.0, 0),  # a slow answer excuses as much as it lasted
        (12.0, 0.0, 9.0, 3),
    ],
)
def test_skew_is_the_smallest_difference_that_explains_the_answer(
    broker: float, asked: float, answered: float, expected: float
) -> None:
    def at(seconds: float) -> datetime:
        return NOW + timedelta(seconds=seconds)

    assert skew(at(broker), at(asked), at(answered)).total_seconds() == pytest.approx(expected)
