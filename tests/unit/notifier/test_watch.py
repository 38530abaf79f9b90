"""Which outages wake somebody, when, and that a silent gateway does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notifier.core.watch import Limits, Watch, login_alert, login_ends
from shared.messages.broker import SessionChanged
from shared.types import SessionState

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
LIMITS = Limits(grace_seconds=30, expected_seconds=600, silence_seconds=300)
NEW_YORK = ZoneInfo("America/New_York")


def change(state: SessionState, reason: str = "why", *, expected: bool = False) -> SessionChanged:
    return SessionChanged(state=state, reason=reason, account="DU1", since=NOW, expected=expected)


READY = change(SessionState.READY, "")


def titles(watch: Watch, now: float) -> list[str]:
    return [alert.title for alert in watch.due(now)]


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.READY])
def test_an_outage_is_told_once_when_it_lasts_and_its_end_is_told(state: SessionState) -> None:
    watch = Watch(LIMITS, 0)
    assert watch.session(change(state), 100) is None
    assert titles(watch, 129) == []
    (alert,) = watch.due(130)
    assert alert.title == f"Broker session {state}"
    assert alert.body.startswith("For 30 seconds: why")
    assert titles(watch, 299) == []
    back = watch.session(READY, 290)
    assert back is not None
    assert back.title == "Broker session READY"
    assert "after 3 minutes" in back.body
    assert watch.session(READY, 291) is None


def test_a_short_outage_wakes_nobody_however_often_it_comes() -> None:
    watch = Watch(LIMITS, 0)
    for second in range(0, 400, 20):  # farms that flap
        assert watch.session(change(SessionState.DEGRADED), second) is None
        assert titles(watch, second + 3) == []
        assert watch.session(READY, second + 3) is None


def test_an_announced_outage_is_told_past_its_own_budget_only() -> None:
    watch = Watch(LIMITS, 0)
    watch.session(change(SessionState.DEGRADED, expected=True), 0)
    watch.alive(590)  # so that silence has no part in it
    assert titles(watch, 599) == []
    assert titles(watch, 600) == ["Broker session DEGRADED"]


def test_an_announced_outage_that_becomes_another_is_told_after_the_grace() -> None:
    watch = Watch(LIMITS, 0)
    watch.session(change(SessionState.DEGRADED, expected=True), 0)
    watch.session(change(SessionState.DISCONNECTED), 200)
    assert titles(watch, 229) == []
    assert titles(watch, 230) == ["Broker session DISCONNECTED"]


def test_a_login_that_is_awaited_is_told_though_the_outage_was() -> None:
    watch = Watch(LIMITS, 0)
    watch.session(change(SessionState.DISCONNECTED), 0)
    assert titles(watch, 31) == ["Broker session DISCONNECTED"]
    watch.session(change(SessionState.AWAITING_LOGIN), 40)
    assert titles(watch, 69) == []
    (alert,) = watch.due(71)
    assert alert.title == "Broker session AWAITING_LOGIN"
    assert "phone" in alert.body


def test_steps_of_one_outage_do_not_begin_its_grace_anew() -> None:
    watch = Watch(LIMITS, 0)
    for second, state in enumerate((SessionState.DISCONNECTED, SessionState.CONNECTING, SessionState.SYNCHRONISING)):
        watch.session(change(state), second * 10)
    assert titles(watch, 30) == ["Broker session SYNCHRONISING"]


def test_a_gateway_that_says_nothing_is_missed_once_and_its_return_is_told() -> None:
    watch = Watch(LIMITS, 0)
    assert watch.alive(100) is None
    assert titles(watch, 399) == []
    assert titles(watch, 400) == ["The gateway is not heard of"]
    assert titles(watch, 5000) == []
    back = watch.alive(5200)
    assert back is not None
    assert back.title == "The gateway is heard again"
    assert "85 minutes" in back.body
    assert titles(watch, 5499) == []
    assert titles(watch, 5500) == ["The gateway is not heard of"]


def test_a_gateway_that_was_never_heard_of_is_missed() -> None:
    assert titles(Watch(LIMITS, 0), 300) == ["The gateway is not heard of"]


def test_in_simulated_mode_nobody_is_missed() -> None:
    assert titles(Watch(Limits(30, 600, None), 0), 1e6) == []


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-21 16:59", False),
        ("2026-11-21 17:00", True),
        ("2026-11-22 00:59", True),
        ("2026-11-22 01:00", False),
        ("2026-11-23 12:00", False),
    ],
)
def test_the_end_of_the_login_is_near_on_saturday_evening(now: str, due: bool) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK).astimezone(UTC)
    ends = login_ends(moment, 8)
    assert (ends is not None) is due
    if ends is not None:
        assert ends == datetime(2026, 11, 22, 1, tzinfo=NEW_YORK)


def test_each_week_has_one_end_of_the_login() -> None:
    hours = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 27)]
    found = {ends for hour in hours if (ends := login_ends(hour, 8)) is not None}
    assert sorted(end.date().isoformat() for end in found) == ["2026-03-01", "2026-03-08", "2026-03-15", "2026-03-22"]


def test_the_reminder_names_the_day_and_the_planned_hour() -> None:
    alert = login_alert(datetime(2026, 11, 22, 1, tzinfo=NEW_YORK), 9)
    assert "2026-11-22" in alert.body
    assert "9:00 New York" in alert.body
