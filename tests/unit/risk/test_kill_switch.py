"""Halting, flattening, the latch of the daily loss, and positions that have lost their stop."""

from decimal import Decimal

import pytest

from services.risk.core.judge import Judge
from shared.messages.base import Message
from shared.messages.order import Break, CancelEntry, ClosePosition, Reconcile, Reconciled
from shared.messages.risk import TradingStateChanged
from shared.types import Leg, OrderStatus, TradingState
from tests.unit.risk.test_judge import ACCOUNT, NOW, armed, changed, decide, held, intent, quote


def test_halt_cancels_working_entries_and_only_a_person_ends_it() -> None:
    judge = armed()
    decide(judge, intent(), quote())
    state, cancel = judge.halt("trader", "storm")
    assert isinstance(state, TradingStateChanged)
    assert isinstance(cancel, CancelEntry)
    judge.reconciled(Reconciled(request_id=None, account=ACCOUNT, breaks=()), "2012-06-01", NOW, {})
    assert judge.state is TradingState.HALTED
    assert isinstance(judge.resume("trader", "calm")[-1], Reconcile)
    assert judge.state is TradingState.DISABLED
    judge.reconciled(Reconciled(request_id=None, account=ACCOUNT, breaks=()), "2012-06-01", NOW, {})
    assert judge.state is TradingState.ACTIVE


def compared(judge: Judge, worth: int, session: str = "2012-06-01") -> list[Message]:
    account = ACCOUNT.model_copy(update={"net_liquidation": Decimal(worth)})
    return judge.reconciled(Reconciled(request_id=None, account=account, breaks=()), session, NOW, {})


def test_a_daily_loss_that_comparisons_in_a_row_confirm_halts_until_a_person_resumes() -> None:
    judge = armed(loss_confirmations=3)
    decide(judge, intent(), quote())
    assert compared(judge, 969_000) == [Reconcile()]
    assert compared(judge, 968_000) == [Reconcile()]
    state, cancel = compared(judge, 968_000)
    assert isinstance(state, TradingStateChanged)
    assert (state.state, state.actor) == (TradingState.HALTED, "risk")
    assert state.reason == "daily loss 3.20%, seen 3 times in a row"
    assert isinstance(cancel, CancelEntry)
    assert compared(judge, 1_000_000, "2012-06-04") == []
    assert judge.state is TradingState.HALTED


def test_one_wrong_figure_halts_nothing() -> None:
    judge = armed(loss_confirmations=2)
    for _ in range(3):
        assert compared(judge, 500_000) == [Reconcile()]
        assert decide(judge, intent(), quote())[0] == "daily_loss", "and nothing is bought meanwhile"
        assert compared(judge, 1_000_000) == []
    assert judge.state is TradingState.ACTIVE


def test_flatten_halts_and_closes_what_is_held_and_cancels_what_is_not() -> None:
    judge = armed()
    trade = held(judge)
    decide(judge, intent(symbol="IBM"), quote(symbol="IBM"))
    quotes = {"AAPL": quote(), "IBM": quote(symbol="IBM")}
    state, close, cancel = judge.flatten("trader", "storm", quotes)
    assert isinstance(state, TradingStateChanged)
    assert isinstance(close, ClosePosition)
    assert isinstance(cancel, CancelEntry)
    assert (judge.state, close.order_id, close.reason) == (TradingState.HALTED, trade.order_id, "flattened: storm")
    (again, _) = judge.flatten("trader", "still there", {"AAPL": quote(bid=Decimal(550))})
    assert isinstance(again, ClosePosition)
    assert again.limit_price == Decimal("547.25")


def test_what_fills_after_the_decision_to_close_is_closed_as_well() -> None:
    judge = armed()
    decide(judge, intent(), quote())
    (trade,) = judge.trades.values()
    judge.flatten("trader", "storm", {"AAPL": quote()})
    close = judge.order_changed(changed(trade, Leg.ENTRY, OrderStatus.FILLED, 100), {"AAPL": quote()})[-1]
    assert isinstance(close, ClosePosition)
    assert close.reason == "flattened: storm"


def test_a_target_that_dies_while_it_should_close_is_replaced() -> None:
    judge = armed()
    trade = held(judge)
    judge.flatten("trader", "storm", {"AAPL": quote()})
    (close,) = judge.order_changed(changed(trade, Leg.TARGET, OrderStatus.CANCELLED, 0), {"AAPL": quote()})
    assert isinstance(close, ClosePosition)
    assert judge.order_changed(changed(trade, Leg.EXIT, OrderStatus.REJECTED, 0), {"AAPL": quote()}) == [], "no circle"


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED])
@pytest.mark.parametrize("halted", [False, True])
def test_a_position_that_lost_its_stop_is_closed_once_a_comparison_confirms_it(
    status: OrderStatus, halted: bool
) -> None:
    judge = armed()
    trade = held(judge)
    if halted:
        judge.halt("trader", "storm")
    assert judge.order_changed(changed(trade, Leg.STOP, status, 0), {}) == [Reconcile()]
    lost = Break(subject="protection", ours="100 AAPL open", broker="no working stop", unprotected=trade.order_id)
    result = Reconciled(request_id=None, account=ACCOUNT, breaks=(lost,))
    close, *_ = judge.reconciled(result, "2012-06-01", NOW, {"AAPL": quote()})
    assert isinstance(close, ClosePosition)
    assert (close.order_id, close.reason) == (trade.order_id, "its stop is gone")
    assert judge.state is (TradingState.HALTED if halted else TradingState.DISABLED)


@pytest.mark.parametrize("leg", [Leg.STOP, Leg.TARGET])
def test_a_stop_that_ends_with_its_position_is_no_loss(leg: Leg) -> None:
    judge = armed()
    trade = held(judge)
    assert judge.order_changed(changed(trade, leg, OrderStatus.FILLED, 100), {}) == []
    assert judge.order_changed(changed(trade, Leg.STOP, OrderStatus.CANCELLED, 0), {}) == []


def test_who_resumes_with_the_loss_still_there_is_not_halted_for_it_again_and_buys_nothing() -> None:
    judge = armed(loss_confirmations=1)
    compared(judge, 960_000)
    assert judge.resume("trader", "I know")[-1] == Reconcile()
    (armed_again,) = compared(judge, 960_000)
    assert isinstance(armed_again, TradingStateChanged)
    assert judge.state is TradingState.ACTIVE
    assert decide(judge, intent(), quote())[0] == "daily_loss"
    assert compared(judge, 1_000_000) == []
    compared(judge, 960_000)
    assert judge.state is TradingState.HALTED, "it had gone, and came again"
