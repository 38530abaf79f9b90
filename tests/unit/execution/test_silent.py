"""Books and judge of a backtest, which explain nothing, keep the same books and decide the same as those of live."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from services.execution.core.books import Books
from services.execution.core.change import Change
from services.risk.config import Settings
from services.risk.core.judge import Judge
from shared.messages.base import Message
from shared.messages.broker import AccountValues, CommissionReported, ExecutionReported, OrderReported
from shared.messages.market import Quote
from shared.messages.order import ClosePosition, OrderChanged, PlaceOrder, Reconciled
from shared.messages.risk import IntentRefused
from shared.messages.strategy import Purpose
from shared.types import OrderStatus, Side
from tests.unit.risk.test_judge import intent, quote

NOW = datetime(2012, 6, 1, 14, 0, tzinfo=UTC)
STOPS = (None, Decimal(20))


def journey(stop: Decimal | None, *, explain: bool) -> tuple[Judge, Books, list[Message]]:
    """One intent refused, then a round trip; all that judge and books said."""
    judge = Judge(Settings.model_validate({"require_stop": False}), explain=explain)
    books = Books(explain=explain)
    account = AccountValues(account="DU1", net_liquidation=Decimal(10**6), cash=Decimal(0), buying_power=Decimal(0))
    said = judge.reconciled(Reconciled(request_id=None, account=account, breaks=()), "2012-06-01", NOW, {})
    wishes = (
        intent(purpose=Purpose.EXIT, side=Side.SELL),
        intent(stop_distance=stop, target_distance=stop, expires_at=NOW + timedelta(minutes=9)),
        intent(stop_distance=stop, expires_at=NOW + timedelta(minutes=9)),
        intent(purpose=Purpose.EXIT, side=Side.SELL),
    )
    for number, wish in enumerate(wishes):
        quotes: dict[str, Quote] = {"AAPL": quote(time=NOW)}
        _, messages = judge.judge(UUID(int=number << 96), wish, quotes, NOW, market_open=True)
        said += messages
        for message in messages:
            if isinstance(message, PlaceOrder):
                order = books.place(message, NOW), message.order_id, Side.BUY, "565.02"
            elif isinstance(message, ClosePosition):
                ref = f"{message.order_id}.{'target' if stop else 'exit'}"
                order = books.close(message, NOW), ref, Side.SELL, "562.17"
            else:
                continue
            said += carried_out(judge, books, *order)
    return judge, books, said


def carried_out(judge: Judge, books: Books, sent: Change, ref: str, side: Side, price: str) -> list[Message]:
    quantity = books.orders[ref].quantity
    execution = ExecutionReported(
        execution_id=ref, order_ref=ref, symbol="AAPL", side=side, quantity=quantity, price=Decimal(price), time=NOW,
        perm_id=1,
    )  # fmt: skip
    report = OrderReported(
        order_ref=ref, status=OrderStatus.FILLED, filled=quantity, remaining=Decimal(0), average_price=Decimal(price),
        limit_price=None, broker_order_id=1, perm_id=1,
    )  # fmt: skip
    changes = [
        sent,
        books.report_execution(execution, NOW),
        books.report_commission(CommissionReported(execution_id=ref, commission=Decimal("1.25")), NOW),
        books.report_order(report, NOW),
    ]
    said = [message for change in changes for message, _ in change.messages]
    for message in said:
        if isinstance(message, OrderChanged):
            judge.order_changed(message, {})
    return said


@pytest.mark.parametrize("stop", STOPS)
def test_silence_changes_nothing_but_what_is_said(stop: Decimal | None) -> None:
    judge, books, said = journey(stop, explain=True)
    quiet_judge, quiet_books, heard = journey(stop, explain=False)
    assert (books.orders, books.fills, books.positions) == (
        quiet_books.orders, quiet_books.fills, quiet_books.positions,
    )  # fmt: skip
    assert judge.trades == quiet_judge.trades == {}
    assert books.positions["AAPL"].quantity == 0
    assert books.positions["AAPL"].commissions == Decimal("2.50")
    loud = [
        type(message).__name__ for message in said if type(message).__name__ not in ("OrderFilled", "CommissionBooked")
    ]
    assert loud == [type(message).__name__ for message in heard]
    refusals = [
        [message.code for message in all_said if isinstance(message, IntentRefused)] for all_said in (said, heard)
    ]
    assert refusals == [["no_position", "duplicate_intent"]] * 2
    assert all(message.checks for message in said if isinstance(message, IntentRefused | PlaceOrder))
    assert not any(message.checks for message in heard if isinstance(message, IntentRefused | PlaceOrder))


@pytest.mark.parametrize("stop", STOPS)
def test_what_the_cores_make_without_checks_would_pass_them(stop: Decimal | None) -> None:
    _, _, said = journey(stop, explain=True)
    assert len(said) > 10
    for message in said:
        assert type(message).model_validate(message.model_dump()) == message
        assert type(message).model_validate_json(message.model_dump_json()) == message
