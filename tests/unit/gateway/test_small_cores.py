from decimal import Decimal

import pytest

from services.gateway.core.account import choose
from services.gateway.core.book import blank_report
from services.gateway.core.conflation import REPEAT_BATCHES, REPEAT_SECONDS, Conflation
from services.gateway.core.facts import Facts
from shared.messages.broker import BrokerErrorReported, CommissionReported, ErrorEffect
from shared.quotes import WARM_UP_BATCHES
from shared.types import Mode, OrderStatus


def test_a_batch_carries_what_changed() -> None:
    conflation = Conflation()
    conflation.changed |= {"A", "B"}
    assert conflation.take(0) == {"A", "B"}
    conflation.changed.add("A")
    assert conflation.take(1) == {"A"}
    assert conflation.take(1) == set()


def test_every_symbol_is_repeated_after_some_seconds_and_after_many_batches() -> None:
    assert REPEAT_BATCHES * 2 <= WARM_UP_BATCHES
    conflation = Conflation()
    conflation.changed |= {"A", "B"}
    conflation.take(0)
    assert conflation.take(REPEAT_SECONDS) == {"A", "B"}
    sizes: list[int] = []
    for _ in range(REPEAT_BATCHES + 1):
        conflation.changed.add("A")
        sizes.append(len(conflation.take(REPEAT_SECONDS)))
    assert sizes.count(2) == 1


@pytest.mark.parametrize(
    ("wanted", "managed", "mode", "complaint"),
    [
        (None, ["DU1", "DU2"], Mode.PAPER, "set account"),
        (None, [], Mode.PAPER, "set account"),
        ("DU3", ["DU1"], Mode.PAPER, "'DU3'"),
        (None, ["U1"], Mode.PAPER, "does not fit mode = paper"),
        (None, ["U1"], Mode.SIMULATED, "does not fit mode = simulated"),
        (None, ["DU1"], Mode.LIVE, "does not fit mode = live"),
        (None, ["X1"], Mode.LIVE, "does not fit"),
    ],
)
def test_account_that_may_not_be_traded(wanted: str | None, managed: list[str], mode: Mode, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        choose(wanted, managed, mode)


def test_account_that_fits() -> None:
    assert choose(None, ["DU1"], Mode.SIMULATED) == "DU1"
    assert choose("DF2", ["DU1", "DF2"], Mode.PAPER) == "DF2"
    assert choose(None, ["U1"], Mode.LIVE) == "U1"


def test_an_order_report_is_news_only_when_something_changed() -> None:
    facts = Facts()
    up = blank_report("a", 7, Decimal(1))
    down = up.model_copy(update={"status": OrderStatus.SUBMITTED})
    first, repeated, second, back = (facts.key(report) for report in (up, up, down, up))
    assert repeated is None
    assert len({first, second, back}) == 3
    assert Facts().key(up) == first  # another process gives the same fact the same name


def test_executions_are_named_by_the_broker_and_errors_are_all_different() -> None:
    facts = Facts()
    commission = CommissionReported(execution_id="x", commission=Decimal(1))
    error = BrokerErrorReported(code=1100, text="", effect=ErrorEffect.LINK)
    assert [facts.key(commission), facts.key(commission)] == ["x", None]
    assert [facts.key(error), facts.key(error)] == ["", ""]
