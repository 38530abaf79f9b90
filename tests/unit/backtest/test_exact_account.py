"""The exact gear on bars: many positions on one account; what risk allows, sizes and refuses, and in which order."""

from datetime import UTC, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.backtest.core.lanes import Evidence
from services.backtest.core.model import ExitReason, Result
from services.strategy.core.bars import Bars
from services.strategy.core.confluence import Confluence, Readings
from services.strategy.core.strategy import Distance, Signals
from shared.config import ConfigError
from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import Component
from tests.unit.backtest.scripted import FLAT, FREE, Prices, Scripted, history, instance, run

TIGHT = Distance(fraction=0.05)
ONE_SLOT = {"max_positions": 1}


def who(result: Result) -> list[tuple[str, str]]:
    """Strategy and symbol of every trade, in the order of closing."""
    return [(trade.strategy, trade.symbol) for trade in result.trades]


def test_instances_come_in_their_order_and_within_one_its_symbols() -> None:
    rows = [FLAT] * 4
    histories = (history(rows), history(rows, "TWO"))
    buyer = Scripted(buys=(0,), shares=10)
    first, second = instance(buyer, "TWO", "ONE", name="first"), instance(buyer, "ONE", name="second")
    result = run([first, second], *histories, risk={"max_positions": 2})
    assert who(result) == [("first", "TWO"), ("first", "ONE")]
    assert result.refusals == {"max_positions": 1}
    assert who(run([second, first], *histories, risk={"max_positions": 2})) == [("second", "ONE"), ("first", "TWO")]


def test_a_slot_that_an_exit_frees_is_taken_by_a_later_lane_at_the_same_open() -> None:
    histories = (history([FLAT] * 4), history([FLAT] * 4, "TWO"))
    leaver = instance(Scripted(buys=(0,), sells=(1,), shares=10), "ONE", name="leaver")
    comer = instance(Scripted(buys=(1,), shares=10), "TWO", name="comer")
    assert who(run([leaver, comer], *histories, risk=ONE_SLOT)) == [("leaver", "ONE"), ("comer", "TWO")]
    refused = run([comer, leaver], *histories, risk=ONE_SLOT)
    assert (who(refused), refused.refusals) == ([("leaver", "ONE")], {"max_positions": 1})


def test_a_slot_that_age_frees_is_free_for_every_lane_of_that_open() -> None:
    histories = (history([FLAT] * 6), history([FLAT] * 6, "TWO"))
    comer = instance(Scripted(buys=(2,), shares=10), "TWO", name="comer")
    holder = instance(Scripted(buys=(0,), shares=10), "ONE", name="holder")
    result = run([comer, holder], *histories, risk=ONE_SLOT | {"max_holding_days": 2})
    assert [(trade.strategy, trade.reason) for trade in result.trades] == [
        ("holder", ExitReason.TIME),
        ("comer", ExitReason.TIME),
    ]


def test_a_slot_that_a_stop_frees_is_free_from_the_next_bar_on() -> None:
    falling: list[Prices] = [FLAT, FLAT, (100, 101, 90, 92), FLAT, FLAT]
    histories = (history(falling), history([FLAT] * 5, "TWO"))
    stopped = instance(Scripted(buys=(0,), shares=10, stop=TIGHT), "ONE", name="stopped")
    comer = instance(Scripted(buys=(1, 2), shares=10), "TWO", name="comer")
    result = run([stopped, comer], *histories, risk=ONE_SLOT)
    assert [(trade.strategy, trade.opened_at.day) for trade in result.trades] == [("stopped", 13), ("comer", 15)]
    assert result.refusals == {"max_positions": 1}


def test_positions_of_one_step_are_stopped_in_the_order_of_opening() -> None:
    falling: list[Prices] = [FLAT, FLAT, FLAT, (100, 101, 90, 92)]
    histories = (history(falling), history(falling, "TWO"))
    late = instance(Scripted(buys=(1,), shares=10, stop=TIGHT), "ONE", name="late")
    early = instance(Scripted(buys=(0,), shares=10, stop=TIGHT), "TWO", name="early")
    assert who(run([late, early], *histories)) == [("early", "TWO"), ("late", "ONE")]


def test_two_instances_hold_the_same_symbol_apart() -> None:
    rows: list[Prices] = [FLAT, (100, 101, 99, 100), (110, 111, 109, 110), (120, 121, 119, 120), (130, 131, 129, 130)]
    one = instance(Scripted(buys=(0,), sells=(2,), shares=10), name="one")
    two = instance(Scripted(buys=(1,), sells=(3,), shares=30), name="two")
    result = run([one, two], history(rows))
    assert [(trade.strategy, trade.profit) for trade in result.trades] == [("one", 200), ("two", 600)]


def test_risk_sizes_all_day_with_the_equity_before_the_days_first_bar() -> None:
    """Bars of 3 hours, from 13:30 UTC: dates change in New York at 04:00 UTC, which is after the fifth of them."""
    rows: list[Prices] = [FLAT, FLAT, (150, 151, 99, 100), FLAT, FLAT, FLAT, FLAT]
    strategy = Scripted(buys=(0, 2, 4), sells=(1, 3))
    result = run(instance(strategy), history(rows, minutes=180), risk={"max_position_fraction": "0.2"})
    assert [(trade.quantity, trade.profit) for trade in result.trades] == [(200, 10_000), (200, 0), (220, 0)]


def test_risk_sizes_by_the_distance_of_the_stop() -> None:
    strategy = Scripted(buys=(0,), stop=TIGHT)
    (trade,) = run(instance(strategy), history([FLAT] * 3)).trades
    assert trade.quantity == 100  # 0.5 % of 100,000 over 5 USD a share


@pytest.mark.parametrize(
    ("strategy", "risk", "refusals"),
    [
        (Scripted(buys=(0,), shares=10), {"require_stop": True}, {"stop_loss": 1}),
        (Scripted(buys=(0, 1, 2), shares=10), {}, {"duplicate_intent": 2}),
        (Scripted(sells=(1,)), {}, {"no_position": 1}),
        (Scripted(buys=(0,), stop=TIGHT), {"risk_per_trade": "0.00001"}, {"minimum_size": 1}),
        (Scripted(buys=(0,), shares=201), {}, {"max_position_size": 1}),
        (Scripted(buys=(0,), shares=100), {"max_order_value": 9_999}, {"max_order_value": 1}),
        (Scripted(buys=(0,), shares=10), {"price_collar": "0.0009"}, {"price_collar": 1}),
    ],
)
def test_what_risk_refuses_is_counted_by_its_code(
    strategy: Scripted, risk: dict[str, object], refusals: dict[str, int]
) -> None:
    result = run(instance(strategy), history([FLAT] * 4), risk=risk, costs=FREE | {"spread": "0.002"})
    assert dict(result.refusals) == refusals


def test_a_symbol_without_a_bar_waits_for_its_next_one_and_keeps_its_last_close() -> None:
    gaps = history([FLAT, (100, 101, 99, 100), None, (105, 106, 104, 106), (107, 108, 106, 107)], "GAPS")
    result = run(instance(Scripted(buys=(0,), sells=(1,), shares=100), "GAPS"), gaps, history([FLAT] * 5))
    (trade,) = result.trades
    assert (trade.opened_at.day, trade.closed_at.day, trade.bars, trade.profit) == (13, 15, 1, 500)
    assert result.curve.value.tolist() == [100_000, 100_000, 100_000, 100_500, 100_500]
    assert result.curve.exposure.tolist() == [0, 0.1, 0.1, 0, 0]


def test_a_strategy_that_fails_drops_out_and_the_others_trade() -> None:
    class Broken(Scripted):
        def generate_signals(self, bars: Bars) -> Signals:
            raise ZeroDivisionError(f"{len(bars)} bars are too few")

    class Fraction(Scripted):
        def calculate_position_size(self, price: Decimal) -> Decimal | None:
            return price / 7

    buyer = Scripted(buys=(0,), shares=10)
    instances = [
        instance(Broken(), name="broken"),
        instance(Fraction(buys=(0,)), name="fraction"),
        instance(buyer, name="well"),
    ]
    result = run(instances, history([FLAT] * 3))
    assert who(result) == [("well", "ONE")]
    assert result.failures == (
        "broken failed on ONE: ZeroDivisionError: 3 bars are too few",
        "fraction failed on ONE: StrategyError: calculate_position_size(100.0000) = 14.28571428571428571428571429;"
        " it must be whole shares, 1 or more",
    )


def test_one_instance_trades_a_symbol_once() -> None:
    with pytest.raises(ConfigError, match="'scripted' trades ONE twice"):
        run([instance(Scripted()), instance(Scripted())], history([FLAT]))


def test_the_score_forbids_entries_and_counts_them() -> None:
    weak = instance(Scripted(buys=(0, 1), sells=(2,), shares=10, strength=0.4), minimum_score=0.5)
    result = run(weak, history([FLAT] * 5))
    assert not result.trades
    assert result.refusals == {"score_below_minimum": 2, "no_position": 1}

    readings = Readings()
    for component in (Component.SENTIMENT, Component.OPTIONS_FLOW):
        opening = history([FLAT] * 2).start[1].item()
        readings.add(
            SentimentReading(
                symbol="ONE",
                component=component,
                score=0.9,
                source="test",
                observed_at=opening.replace(tzinfo=UTC) + timedelta(minutes=1),
            )
        )
    evidence = Evidence(Confluence.model_validate({}), readings)
    (trade,) = run(weak, history([FLAT] * 5), evidence=evidence).trades
    assert trade.opened_at.day == 14  # at the open of the 13th nobody knew it yet


def test_money_is_neither_made_nor_lost_on_the_way() -> None:
    """Random prices and signals on one account: cash and trades agree to the last unit, slots are never exceeded."""
    random = np.random.default_rng(5)
    count = 400
    histories = []
    for symbol in ("ONE", "TWO", "THREE"):
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.02, count))), 2)
        opens = np.round(close * np.exp(random.normal(0, 0.01, count)), 2)
        high, low = np.maximum(opens, close) * 1.01, np.minimum(opens, close) * 0.99
        rows = [None if random.random() < 0.1 else row for row in zip(opens, high, low, close, strict=True)]
        histories.append(history(rows, symbol, volume=2000))
    instances = [
        instance(
            Scripted(
                buys=tuple(random.choice(count, 80).tolist()),
                sells=tuple(random.choice(count, 20).tolist()),
                stop=Distance(fraction=0.04),
                target=target,
            ),
            "ONE",
            "TWO",
            "THREE",
            name=name,
        )
        for name, target in (("one", Distance(fraction=0.05)), ("two", None))
    ]
    costs = {"spread": "0.001", "slippage": "0.001", "commission_per_share": "0.005", "commission_minimum": 1}
    result = run(instances, *histories, costs=costs, risk={"max_positions": 3, "max_holding_days": 9})
    assert {trade.reason for trade in result.trades} >= set(ExitReason) - {ExitReason.EXPIRY, ExitReason.END}
    assert result.refusals.keys() >= {"max_positions", "duplicate_intent", "no_position"}
    net = sum((trade.net for trade in result.trades), Decimal(0))
    assert result.curve.value[-1] == float(100_000 + net)
    moments = sorted({trade.opened_at for trade in result.trades})
    at_once = [sum(trade.opened_at <= moment < trade.closed_at for trade in result.trades) for moment in moments]
    assert max(at_once) == 3
    assert (result.curve.exposure <= 3 * 0.25).all()
    assert result.curve.exposure.max() > 0.2
