"""IBKR's limits, at their edges, on a clock of the test's own."""

import pytest

from services.simulator.limits import DataLimits, HistoryPacing, MessageRate, RealTimeBarPacing

SMALL, LARGE = "5 secs", "1 day"


def test_the_51st_message_of_a_second_is_one_too_many() -> None:
    rate = MessageRate(50)
    assert [rate.received(0.01 * number, 0) for number in range(50)] == [None] * 50
    assert rate.received(0.9, 0) == "Max rate of messages per second has been exceeded:max=50 rec=51 (1)"
    assert rate.received(0.95, 0) is None, "said once a second"
    assert [rate.received(1.5, 0) for _ in range(50)] == [None] * 50
    assert str(rate.received(1.6, 0)).endswith("rec=51 (2)")


def test_messages_that_piled_up_while_the_server_was_busy_are_no_offence() -> None:
    rate = MessageRate(50)
    rate.received(0, 0)
    assert [rate.received(3.0, 2.0) for _ in range(150)] == [None] * 150
    assert rate.received(3.0, 2.0) is not None


def test_a_paced_client_waits_for_its_turn() -> None:
    rate = MessageRate(50)
    assert [rate.wait(10.0) for _ in range(50)] == [0] * 50
    assert rate.wait(10.0) == pytest.approx(0.02)
    assert rate.wait(10.0) == pytest.approx(0.04)
    assert rate.wait(20.0) == 0


def test_a_limit_of_zero_is_none() -> None:
    rate = MessageRate(0)
    assert all(rate.received(0, 0) is None and rate.wait(0) == 0 for _ in range(1000))


def request(pacing: HistoryPacing, now: float, name: object, bar_size: str = SMALL, show: str = "TRADES") -> bool:
    return pacing.violated(now, "contract", name, bar_size, show)


def test_identical_requests_must_be_15_seconds_apart() -> None:
    pacing = HistoryPacing()
    assert not request(pacing, 0, "same")
    assert request(pacing, 14.9, "same")
    assert not request(pacing, 15.0, "same")


def test_six_requests_for_a_contract_in_two_seconds_are_too_many() -> None:
    pacing = HistoryPacing()
    assert [request(pacing, 0.1 * number, number) for number in range(6)] == [False] * 5 + [True]
    assert not pacing.violated(0.6, "another contract", 6, SMALL, "TRADES")
    assert not request(pacing, 2.0, 7)


def test_sixty_requests_in_ten_minutes_and_bid_ask_twice() -> None:
    pacing = HistoryPacing()
    assert not any(pacing.violated(5 * n, n, n, SMALL, "TRADES") for n in range(58))
    assert not pacing.violated(300, "x", "x", SMALL, "BID_ASK")
    assert pacing.violated(301, "y", "y", SMALL, "TRADES")
    assert not pacing.violated(600, "y", "y", SMALL, "TRADES"), "the first is ten minutes ago"


@pytest.mark.parametrize("pacing", [HistoryPacing(), HistoryPacing(active=False)])
def test_large_bars_and_lifted_limits_are_exempt(pacing: HistoryPacing) -> None:
    bar_size = LARGE if pacing.active else SMALL
    assert not any(request(pacing, 0, "same", bar_size) for _ in range(200))


def test_historical_ticks_are_paced_like_small_bars() -> None:
    pacing = HistoryPacing()
    assert not request(pacing, 0, "ticks", "")
    assert request(pacing, 1, "ticks", "")


def test_real_time_bars() -> None:
    pacing = RealTimeBarPacing()
    assert [pacing.violated(n) for n in range(61)] == [False] * 60 + [True]
    assert not pacing.violated(600)
    assert not any(RealTimeBarPacing(active=False).violated(0) for _ in range(100))


@pytest.mark.parametrize(("lines", "depth"), [(100, 3), (200, 4), (1000, 12), (0, 0)])
def test_depth_grows_with_the_lines(lines: int, depth: int) -> None:
    assert DataLimits(lines).depth == DataLimits(lines).tick_by_tick == depth
