"""What a score is made of, and what becomes of an entry when something is missing."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.strategy.core.confluence import Blocked, Confluence, Readings, Score, score
from shared.messages.sentiment import SentimentReading
from shared.messages.strategy import Component

NOW = datetime(2012, 5, 18, 13, 35, tzinfo=UTC)
CLOSE = NOW - timedelta(hours=18)
TEN_MINUTES = timedelta(minutes=10)


def reading(
    value: float, component: Component = Component.SENTIMENT, *, at: datetime = NOW - TEN_MINUTES, symbol: str = "IBM"
) -> SentimentReading:
    return SentimentReading.model_validate(
        {"symbol": symbol, "component": component, "score": value, "source": "test", "observed_at": at}
    )


def known(*readings: SentimentReading) -> Readings:
    found = Readings()
    for one in readings:
        found.add(one)
    return found


def weigh(readings: Readings, strength: float = 0.8, **settings: Any) -> Score | Blocked:
    confluence = Confluence.model_validate(settings)
    return score(confluence, readings, "IBM", strength=strength, bar_end=CLOSE, at=NOW)


def test_three_components_are_weighted_as_set_and_shown_with_value_age_and_weight():
    found = weigh(known(reading(0.5), reading(0.1, Component.OPTIONS_FLOW, at=NOW - timedelta(hours=1))))
    assert isinstance(found, Score)
    assert found.value == pytest.approx(0.5 * 0.8 + 0.3 * 0.5 + 0.2 * 0.1)
    assert [tuple(part.model_dump().values()) for part in found.evidence] == [
        ("technical", 0.8, 18 * 3600, 0.5),
        ("sentiment", 0.5, 600, 0.3),
        ("options_flow", 0.1, 3600, 0.2),
    ]


def test_what_is_missing_gives_its_weight_to_the_others_in_proportion_and_is_never_zero():
    found = weigh(known(reading(0.4)))
    assert isinstance(found, Score)
    assert found.value == pytest.approx((0.5 * 0.8 + 0.3 * 0.4) / 0.8)
    assert [part.weight for part in found.evidence] == pytest.approx([0.625, 0.375, 0])
    assert (found.evidence[2].value, found.evidence[2].age_seconds) == (None, None)
    alone = weigh(Readings())
    assert isinstance(alone, Score)
    assert alone.value == 0.8
    assert alone == weigh(known(reading(0, symbol="AAPL"))), "no readings at all are no other case"


def test_a_reading_that_is_too_old_is_shown_and_not_counted():
    old = known(reading(0.1, at=NOW - timedelta(seconds=61)))
    found = weigh(old, sentiment={"weight": 0.3, "maximum_age_seconds": 60})
    assert isinstance(found, Score)
    assert (found.value, found.evidence[1].value, found.evidence[1].weight) == (0.8, 0.1, 0)
    fresh = weigh(old, sentiment={"weight": 0.3, "maximum_age_seconds": 61})
    assert isinstance(fresh, Score)
    assert fresh.value < 0.8


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        (known(), "sentiment of IBM is needed and there is none"),
        (known(reading(1, symbol="AAPL")), "sentiment of IBM is needed and there is none"),
        (known(reading(1, Component.OPTIONS_FLOW)), "sentiment of IBM is needed and there is none"),
        (known(reading(1, at=NOW - timedelta(days=2))), "sentiment of IBM is needed and the newest is 172800 s old"),
        (known(reading(1, at=NOW + TEN_MINUTES)), "sentiment of IBM is needed and there is none"),
    ],
)
def test_a_component_can_block(readings: Readings, why: str):
    assert weigh(readings, sentiment={"weight": 0.3, "missing": "block"}) == Blocked("component_missing", why)


def test_a_component_without_weight_blocks_nothing():
    settings = {"technical_weight": 0.8, "sentiment": {"weight": 0, "missing": "block"}}
    assert isinstance(weigh(Readings(), **settings), Score)


def test_without_any_weight_there_is_no_score():
    settings = {"technical_weight": 0, "sentiment": {"weight": 0.6}, "options_flow": {"weight": 0.4}}
    assert weigh(Readings(), **settings) == Blocked(
        "component_missing", "no component with a weight has a value for IBM"
    )


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sets(st.sampled_from(["sentiment", "options_flow"])))
def test_a_score_lies_between_its_components(strength: float, one: float, other: float, present: set[str]):
    values = {"sentiment": one, "options_flow": other}
    found = weigh(known(*(reading(values[name], Component(name)) for name in present)), strength)
    assert isinstance(found, Score)
    counted = [strength, *(values[name] for name in present)]
    assert min(counted) - 1e-12 <= found.value <= max(counted) + 1e-12
    assert sum(part.weight for part in found.evidence) == pytest.approx(1)


def test_weights_sum_to_one():
    with pytest.raises(ValidationError, match=r"0.5, 0.3 and 0.4 of .* sum to 1.2; make it 1"):
        Confluence.model_validate({"options_flow": {"weight": 0.4}})


def test_the_newest_reading_at_or_before_a_time_counts_in_whatever_order_they_come():
    readings = [reading(number / 10, at=NOW - number * TEN_MINUTES) for number in range(10)]
    for seed in range(5):
        Random(seed).shuffle(readings)
        found = known(*readings)
        for number in range(10):
            newest = found.newest("IBM", Component.SENTIMENT, NOW - number * TEN_MINUTES)
            assert newest is not None
            assert newest.score == number / 10
        assert found.newest("IBM", Component.SENTIMENT, NOW - 10 * TEN_MINUTES) is None


def test_a_corrected_reading_replaces_the_one_before_and_only_so_many_are_kept():
    found = Readings(2)
    for number, value in ((2, 0.2), (1, 0.1), (0, 0.5), (0, 0.6)):
        found.add(reading(value, at=NOW - number * TEN_MINUTES))
    newest = found.newest("IBM", Component.SENTIMENT, NOW)
    assert newest is not None
    assert newest.score == 0.6
    assert found.newest("IBM", Component.SENTIMENT, NOW - TEN_MINUTES) is not None
    assert found.newest("IBM", Component.SENTIMENT, NOW - 2 * TEN_MINUTES) is None


def test_a_reading_is_of_a_component_that_comes_from_outside():
    with pytest.raises(ValidationError, match="component"):
        reading(0.5, Component.TECHNICAL)
