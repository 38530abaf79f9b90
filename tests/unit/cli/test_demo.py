"""The plan of a demonstration: which sessions, which kills, which folder."""

from datetime import date
from pathlib import Path

import pytest

from cli.demo import KILL_JOBS, chosen_sessions, kill_plan
from cli.errors import CommandError
from cli.launcher import choose_ports, empty_folder

VICTIMS = ("gateway", "risk", "redis")


def test_every_victim_dies_at_both_moments_within_the_run() -> None:
    plan = kill_plan(VICTIMS, 20)
    assert {(kill.victim, kill.job) for kill in plan} == {(victim, job) for victim in VICTIMS for job in KILL_JOBS}
    assert all(0 < kill.session < 20 for kill in plan)
    assert len({kill.session for kill in plan}) == len(plan)
    assert {kill.moving for kill in plan} == {True, False}


def test_sessions_leave_out_holidays_and_stop_at_the_count() -> None:
    assert chosen_sessions(date(2012, 7, 3), date(2012, 7, 9), 3) == [
        date(2012, 7, 3),
        date(2012, 7, 5),  # the 4th is a holiday
        date(2012, 7, 6),
    ]


def test_no_session_is_refused() -> None:
    with pytest.raises(CommandError, match="no exchange session from 2012-07-07 to 2012-07-08"):
        chosen_sessions(date(2012, 7, 7), date(2012, 7, 8), None)


def test_a_folder_that_no_demo_made_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "books").touch()
    with pytest.raises(CommandError, match="holds data that no demo made"):
        empty_folder(tmp_path)
    assert (tmp_path / "books").exists()


def test_a_demo_empties_its_own_folder(tmp_path: Path) -> None:
    empty_folder(tmp_path)
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").touch()
    empty_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_ports_follow_the_first_one() -> None:
    assert choose_ports(9000, 3) == [9000, 9001, 9002]


def test_free_ports_differ() -> None:
    assert len(set(choose_ports(None, 12))) == 12


def test_ports_that_do_not_exist_are_refused() -> None:
    with pytest.raises(CommandError, match="--first-port 65530 leaves no room for 12 ports; choose 1024 to 65524"):
        choose_ports(65530, 12)
