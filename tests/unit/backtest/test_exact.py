"""The exact gear on bars: at which prices and when one position is opened and closed, to the last unit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.backtest.core.model import ExitReason
from services.strategy.core.bars import Bars
from services.strategy.core.strategy import Distance, Signals
from shared.config import ConfigError
from tests.unit.backtest.scripted import FIRST_DAY, FLAT, FREE, Prices, Scripted, history, instance, run

COSTS = {
    "spread": "0.001",
    "slippage": "0.002",
    "commission_per_share": "0.01",
    "commission_minimum": 1,
    "participation": 1,
}
BRACKET = Scripted(buys=(0,), shares=10, stop=Distance(fraction=0.05), target=Distance(fraction=0.1))  # 95 and 110


def opening(day: int) -> datetime:
    return datetime(2012, 3, 12, 13, 30, tzinfo=UTC) + timedelta(days=day)


def closing(day: int) -> datetime:
    return opening(day) + timedelta(hours=6, minutes=30)


def test_signals_are_carried_out_at_the_next_open_with_every_cost() -> None:
    rows = [FLAT, (50.03, 52, 50, 51), FLAT, (60.07, 61, 59, 60), FLAT]
    result = run(instance(Scripted(buys=(0,), sells=(2,), shares=200)), history(rows), costs=COSTS)
    (trade,) = result.trades
    assert (trade.opened_at, trade.closed_at, trade.bars) == (opening(1), opening(3), 2)
    assert trade.reason is ExitReason.SIGNAL
    assert trade.entry_price == Decimal("50.06")  # 50.03 * 1.0005 = 50.055015, up to the tick
    assert trade.exit_price == Decimal("59.90")  # 60.07 * 0.9995 = 60.039965, down to 60.03; * 0.998, down to the tick
    assert trade.profit == 200 * Decimal("9.84")
    assert trade.commission == 4
    assert trade.mid_profit == 200 * Decimal("10.04")
    assert result.turnover == 200 * Decimal("109.96")
    assert result.curve.value.tolist() == [
        100_000,
        100_000 - 2 + 200 * 0.94,
        100_000 - 2 + 200 * 49.94,
        101_964,
        101_964,
    ]
    assert result.curve.exposure.tolist() == pytest.approx([0, 10_200 / 100_186, 20_000 / 109_986, 0, 0])


@pytest.mark.parametrize(
    ("after", "reason", "price", "day", "bars"),
    [
        ([(100, 100, 94, 96)], ExitReason.STOP, "94.81", 1, 1),  # 95 * 0.998 = 94.81, in the bar that it was bought in
        ([FLAT, (97, 98, 95, 96)], ExitReason.STOP, "94.81", 2, 2),  # touched is enough
        ([FLAT, (90, 98, 89, 96)], ExitReason.STOP, "89.82", 2, 2),  # the gap through the stop
        ([FLAT, (100, 111, 94, 96)], ExitReason.STOP, "94.81", 2, 2),  # both in one bar
        ([(100, 110, 99, 96)], ExitReason.TARGET, "110", 1, 1),
        ([FLAT, (112, 115, 111, 113)], ExitReason.TARGET, "112", 2, 2),  # the gap beyond the target
        ([FLAT, (100, 109.99, 95.01, 100)], ExitReason.END, "100", 2, 2),
    ],
)
def test_stops_and_targets(after: list[Prices], reason: ExitReason, price: str, day: int, bars: int) -> None:
    result = run(instance(BRACKET), history([FLAT, *after]), costs=FREE | {"slippage": "0.002"})
    (trade,) = result.trades
    assert (trade.reason, trade.exit_price, trade.closed_at, trade.bars) == (reason, Decimal(price), closing(day), bars)
    assert result.curve.value[-1] == 100_000 + float(trade.net)


def test_a_stop_loses_no_slippage_in_mid_profit() -> None:
    rows = [FLAT, FLAT, (90, 98, 89, 96)]
    (trade,) = run(instance(BRACKET), history(rows), costs=FREE | {"slippage": "0.002"}).trades
    assert trade.mid_profit == 10 * (90 - 100)


def test_an_exit_at_the_open_comes_before_the_stop_of_that_bar() -> None:
    strategy = BRACKET.model_copy(update={"sells": (1,)})
    (trade,) = run(instance(strategy), history([FLAT, FLAT, (96, 97, 90, 95)])).trades
    assert (trade.reason, trade.exit_price, trade.closed_at) == (ExitReason.SIGNAL, 96, opening(2))


def test_a_stop_without_a_target_has_one_far_away() -> None:
    strategy = Scripted(buys=(0,), shares=10, stop=Distance(fraction=0.05))
    (trade,) = run(instance(strategy), history([FLAT, FLAT, (100, 201, 99, 150)])).trades
    assert (trade.reason, trade.exit_price) == (ExitReason.TARGET, 200)


def test_an_exit_outweighs_an_entry_of_the_same_bar() -> None:
    strategy = Scripted(buys=(0, 2), sells=(2,), shares=10)
    result = run(instance(strategy), history([FLAT] * 5))
    assert [trade.closed_at for trade in result.trades] == [opening(3)]
    assert len(result.orders) == 2


def test_what_the_strategy_sends_and_in_which_order() -> None:
    strategy = BRACKET.model_copy(update={"sells": (1,)})
    result = run(instance(strategy), history([FLAT, FLAT, FLAT]))
    order_id = "ONE-120313-00000001"
    sent = [
        (order.time, order.change, order.order_ref, order.limit_price, order.trigger_price) for order in result.orders
    ]
    assert sent == [
        (opening(1), "new", order_id, 100, None),
        (opening(1), "new", f"{order_id}.stop", None, 95),
        (opening(1), "new", f"{order_id}.target", 110, None),
        (opening(2), "modify", f"{order_id}.target", Decimal("99.5"), None),
    ]
    assert result.trades[0].order_id == order_id


def test_an_entry_takes_its_part_of_the_volume_and_the_rest_is_cancelled() -> None:
    strategy = Scripted(buys=(0,), sells=(1,), shares=150)
    result = run(instance(strategy), history([FLAT] * 3, volume=1005), costs=FREE | {"participation": "0.1"})
    assert [trade.quantity for trade in result.trades] == [100]
    assert [order.quantity for order in result.orders] == [150, 100]  # the exit sells what is there


def test_an_entry_that_gets_nothing_leaves_no_trace_and_the_next_may_come() -> None:
    strategy = BRACKET.model_copy(update={"buys": (0, 1)})
    result = run(instance(strategy), history([FLAT] * 4, volume=[0, 0, 1000, 0]))
    assert [trade.opened_at for trade in result.trades] == [opening(2)]
    assert not result.refusals


class Spoiler(Scripted):
    """Writes into its bars."""

    def generate_signals(self, bars: Bars) -> Signals:
        np.divide(bars.close, bars.close[0], out=bars.close)
        return super().generate_signals(bars)


def test_a_strategy_that_writes_into_its_bars_fails_and_the_others_see_them_as_they_are() -> None:
    rows = history([FLAT] * 4)
    result = run([instance(Spoiler(), name="spoiler"), instance(BRACKET)], rows)
    assert result.failures[0].startswith("spoiler failed on ONE")
    assert [trade.strategy for trade in result.trades] == ["scripted"]
    assert rows.bars.close.tolist() == [100] * 4


def test_what_is_held_for_too_long_is_sold() -> None:
    rows: list[Prices] = [FLAT] * 3 + [(100 + day, 120, 99, 100) for day in range(5)]
    result = run(instance(Scripted(buys=(0,), shares=10)), history(rows), risk={"max_holding_days": 3})
    (trade,) = result.trades
    assert (trade.reason, trade.closed_at, trade.exit_price, trade.bars) == (ExitReason.TIME, opening(4), 101, 3)


def test_age_comes_before_an_exit_signal_of_the_same_open() -> None:
    strategy = Scripted(buys=(0,), sells=(2,), shares=10)
    result = run(instance(strategy), history([FLAT] * 5), risk={"max_holding_days": 2})
    assert [trade.reason for trade in result.trades] == [ExitReason.TIME]
    assert result.refusals == {"no_position": 1}


def test_what_is_open_at_the_end_is_valued_without_the_cost_of_selling() -> None:
    result = run(instance(Scripted(buys=(0,), shares=10)), history([FLAT, FLAT, (100, 108, 99, 107)]), costs=COSTS)
    (trade,) = result.trades
    assert (trade.reason, trade.exit_price, trade.closed_at) == (ExitReason.END, 107, closing(2))
    assert trade.commission == 1
    assert result.curve.value[-1] == 100_000 + float(trade.net)
    assert result.turnover == 10 * trade.entry_price


def test_earlier_bars_only_warm_up_and_later_ones_are_not_there() -> None:
    rows = [(100 + day, 110 + day, 90, 100 + day) for day in range(8)]
    strategy = Scripted(buys=(0, 2), sells=(3, 5), shares=10)
    first, last = FIRST_DAY + timedelta(days=3), FIRST_DAY + timedelta(days=5)
    result = run(instance(strategy), history(rows), first=first, last=last)
    assert [(trade.opened_at, trade.entry_price) for trade in result.trades] == [(opening(3), 103)]
    assert [(trade.closed_at, trade.exit_price) for trade in result.trades] == [(opening(4), 104)]
    assert result.curve.time.tolist() == [closing(day).replace(tzinfo=None) for day in (3, 4, 5)]


def test_a_signal_at_the_last_close_is_not_carried_out() -> None:
    result = run(instance(Scripted(buys=(2,), shares=10)), history([FLAT] * 3))
    assert not result.trades
    assert not result.orders


def test_the_benchmark_is_bought_at_its_first_open() -> None:
    rows = [(100, 130, 90, 120), (120, 130, 90, 110)]
    others: list[Prices | None] = [None, (50, 60, 40, 55)]
    both = (history(rows), history(others, "TWO"))
    assert run(instance(Scripted()), *both, benchmark="ONE").curve.benchmark == pytest.approx([120_000, 110_000])
    assert run(instance(Scripted()), *both).curve.benchmark == pytest.approx([110_000, 110_000])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"risk": {"tick_size": "0.00015"}}, "risk.tick_size = 0.00015"),
        ({"costs": FREE | {"commission_per_share": "0.00001"}}, "costs.commission_per_share = 0.00001"),
        ({"costs": FREE | {"slippage": "0.01"}}, "costs.slippage = 0.01"),
        ({"first": FIRST_DAY + timedelta(days=9)}, "there is no bar of ONE"),
        ({"risk": {"tick_size": 40}}, "open of the bar that ends 2012-03-12T20:00:00.000000 is 100.0 USD"),
    ],
)
def test_what_cannot_be_traded_says_what_to_change(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(instance(Scripted()), history([FLAT] * 3), **changes)  # type: ignore[arg-type]


def test_bad_bars_are_named() -> None:
    with pytest.raises(ConfigError, match="ONE: close of the bar that ends 2012-03-13"):
        run(instance(Scripted()), history([FLAT, (*FLAT[:3], np.nan), FLAT]))
    with pytest.raises(ConfigError, match="fills = bars trades one timeframe, not 1 day and 1 min"):
        run(instance(Scripted()), history([FLAT]), history([FLAT], "TWO", minutes=1))
    with pytest.raises(ConfigError, match="no bars of TWO"):
        run(instance(Scripted(), "TWO"), history([FLAT]))
