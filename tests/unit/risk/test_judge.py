"""Every rule refuses what it should, with its value and limit; approvals, exits, and the trading state."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.risk.config import Settings
from services.risk.core.judge import Judge, Trade
from services.risk.core.rules import ENTRY_RULES
from services.risk.core.sizing import shares
from shared.messages.base import Message
from shared.messages.broker import AccountValues
from shared.messages.market import Bar, Quote
from shared.messages.order import (
    Break,
    ClosePosition,
    OrderChanged,
    PlaceOrder,
    Reconciled,
)
from shared.messages.risk import IntentRefused, TradingStateChanged
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Leg, OrderStatus, QuoteQuality, Side, Timeframe, TradingState

NOW = datetime(2012, 6, 1, 13, 35, tzinfo=UTC)
ACCOUNT = AccountValues(
    account="DU1", net_liquidation=Decimal(1_000_000), cash=Decimal(1_000_000), buying_power=Decimal(4_000_000)
)
BAR = Bar(
    symbol="AAPL",
    timeframe=Timeframe.DAY,
    start=NOW - timedelta(days=1),
    end=NOW - timedelta(hours=17),
    open=Decimal(560),
    high=Decimal(570),
    low=Decimal(550),
    close=Decimal(565),
    volume=Decimal(1_000_000),
)


def intent(**changes: object) -> OrderIntent:
    values = {
        "strategy": "crossover",
        "symbol": "AAPL",
        "purpose": Purpose.ENTER,
        "side": Side.BUY,
        "score": 1.0,
        "reason": "x",
        "stop_distance": Decimal(20),
        "target_distance": Decimal(40),
        "bar": BAR,
        "expires_at": NOW + timedelta(minutes=5),
        "job_run_id": None,
    }
    return OrderIntent.model_validate(values | changes)


def quote(**changes: object) -> Quote:
    values = {
        "symbol": "AAPL",
        "bid": Decimal("565.00"),
        "ask": Decimal("565.02"),
        "last": Decimal("565.01"),
        "bid_size": Decimal(100),
        "ask_size": Decimal(100),
        "volume": Decimal(1),
        "time": NOW,
        "quality": QuoteQuality.LIVE,
    }
    return Quote.model_validate(values | changes)


def armed(**settings: object) -> Judge:
    judge = Judge(Settings.model_validate(settings))
    judge.reconciled(Reconciled(request_id=None, account=ACCOUNT, breaks=()), "2012-06-01", NOW, {})
    return judge


def decide(
    judge: Judge, wish: OrderIntent, seen: Quote | None = None, *, market_open: bool = True
) -> tuple[str | None, list[Message]]:
    quotes = {} if seen is None else {seen.symbol: seen}
    verdict, messages = judge.judge(uuid4(), wish, quotes, NOW, market_open=market_open)
    assert verdict.approved == (verdict.code is None)
    return verdict.code, messages


def test_an_approved_entry_is_sized_priced_and_fully_checked() -> None:
    identity = UUID(int=0xABCDEF12 << 96)
    verdict, messages = armed().judge(identity, intent(), {"AAPL": quote()}, NOW, market_open=True)
    assert [check.rule for check in verdict.checks] == [rule.name for rule in ENTRY_RULES]
    assert all(check.passed for check in verdict.checks)
    (order,) = messages
    assert isinstance(order, PlaceOrder)
    assert order.order_id == "AAPL-120601-abcdef12"
    assert order.quantity == 250  # 0.5 % of a million is 5,000 USD, at 20 USD a share
    assert (order.limit_price, order.stop_price, order.target_price) == (
        Decimal("565.02"),
        Decimal("545.02"),
        Decimal("605.02"),
    )


@pytest.mark.parametrize(
    ("code", "wish", "seen", "settings", "market_open"),
    [
        ("intent_expiry", intent(expires_at=NOW), quote(), {}, True),
        ("market_hours", intent(), quote(), {}, False),
        ("quote_quality", intent(), quote(quality=QuoteQuality.DELAYED), {}, True),
        ("quote_quality", intent(), None, {}, True),
        ("stale_quote", intent(), quote(time=NOW - timedelta(seconds=121)), {}, True),
        ("price_collar", intent(), quote(ask=Decimal(580)), {}, True),
        ("price_collar", intent(), quote(last=None), {}, True),
        ("price_collar", intent(), quote(ask=None), {}, True),
        ("minimum_size", intent(stop_distance=Decimal(1_000_000)), quote(), {}, True),
        ("max_order_value", intent(), quote(), {"max_order_value": Decimal(100_000)}, True),
    ],
)
def test_each_rule_refuses_with_its_own_code(
    code: str, wish: OrderIntent, seen: Quote | None, settings: dict[str, object], market_open: bool
) -> None:
    refusal, messages = decide(armed(**settings), wish, seen, market_open=market_open)
    assert refusal == code
    (message,) = messages
    assert isinstance(message, IntentRefused)
    failed = next(check for check in message.checks if not check.passed)
    assert failed.rule == code
    assert failed.value
    assert failed.limit


def test_refuses_until_the_books_have_been_compared() -> None:
    assert decide(Judge(Settings()), intent(), quote())[0] == "trading_state"


def test_refuses_a_second_entry_of_the_same_strategy_and_symbol() -> None:
    judge = armed()
    assert decide(judge, intent(), quote())[0] is None
    assert decide(judge, intent(), quote())[0] == "duplicate_intent"


def test_refuses_more_than_the_allowed_positions_counting_working_entries() -> None:
    judge = armed(max_positions=1)
    assert decide(judge, intent(), quote())[0] is None
    assert decide(judge, intent(symbol="IBM"), quote(symbol="IBM"))[0] == "max_positions"


def test_refuses_after_the_daily_loss() -> None:
    judge = armed()
    poorer = ACCOUNT.model_copy(update={"net_liquidation": Decimal(960_000)})
    judge.reconciled(Reconciled(request_id=None, account=poorer, breaks=()), "2012-06-01", NOW, {})
    assert decide(judge, intent(), quote())[0] == "daily_loss"
    judge.reconciled(Reconciled(request_id=None, account=poorer, breaks=()), "2012-06-04", NOW, {})
    assert decide(judge, intent(), quote())[0] is None


def test_a_break_disarms_and_an_agreement_arms_again() -> None:
    judge = armed()
    broken = Reconciled(request_id=None, account=ACCOUNT, breaks=(Break(subject="position IBM", ours="0", broker="5"),))
    (change,) = judge.reconciled(broken, "2012-06-01", NOW, {})
    assert isinstance(change, TradingStateChanged)
    assert (change.state, "position IBM" in change.reason) == (TradingState.DISABLED, True)
    assert decide(judge, intent(), quote())[0] == "trading_state"
    judge.reconciled(Reconciled(request_id=None, account=ACCOUNT, breaks=()), "2012-06-01", NOW, {})
    assert judge.state is TradingState.ACTIVE


def changed(trade: Trade, leg: Leg, status: OrderStatus, filled: int) -> OrderChanged:
    return OrderChanged(
        order_ref=trade.order_id,
        order_id=trade.order_id,
        leg=leg,
        strategy=trade.strategy,
        symbol=trade.symbol,
        side=trade.side,
        quantity=Decimal(100),
        status=status,
        previous=OrderStatus.SUBMITTED,
        filled=Decimal(filled),
        reason=None,
    )


def held(judge: Judge) -> Trade:
    decide(judge, intent(), quote())
    (trade,) = judge.trades.values()
    judge.order_changed(changed(trade, Leg.ENTRY, OrderStatus.FILLED, 100), {})
    return judge.trades[trade.order_id]


def test_an_exit_closes_through_the_quote_even_when_halted() -> None:
    judge = armed()
    held(judge)
    judge.halt("trader", "storm")
    _, messages = decide(judge, intent(purpose=Purpose.EXIT, side=Side.SELL, reason="crossed below"), quote())
    (close,) = messages
    assert isinstance(close, ClosePosition)
    assert close.limit_price == Decimal("562.17")  # 0.5 % below the bid, on the tick


def test_an_exit_without_a_position_is_refused() -> None:
    assert decide(armed(), intent(purpose=Purpose.EXIT, side=Side.SELL), quote())[0] == "no_position"


def test_exits_are_priced_again_until_they_fill_and_old_positions_are_closed() -> None:
    judge = armed()
    trade = held(judge)
    assert judge.check_exits({"AAPL": quote()}, NOW + timedelta(days=29)) == []
    (close,) = judge.check_exits({"AAPL": quote()}, NOW + timedelta(days=30))
    assert isinstance(close, ClosePosition)
    (again,) = judge.check_exits({"AAPL": quote(bid=Decimal(550))}, NOW + timedelta(days=31))
    assert isinstance(again, ClosePosition)
    assert again.limit_price == Decimal("547.25")
    judge.order_changed(changed(trade, Leg.TARGET, OrderStatus.FILLED, 100), {})
    assert judge.trades == {}


@given(
    equity=st.decimals(1000, 10_000_000, places=2),
    price=st.decimals(1, 5000, places=2),
    stop=st.decimals("0.01", 500, places=2),
)
def test_the_size_never_risks_or_holds_more_than_allowed(equity: Decimal, price: Decimal, stop: Decimal) -> None:
    quantity = shares(equity, price, stop, Decimal("0.005"), Decimal("0.2"))
    assert quantity == quantity.to_integral_value()
    assert quantity * stop <= equity * Decimal("0.005")
    assert quantity * price <= equity * Decimal("0.2")
    more = quantity + 1
    assert more * stop > equity * Decimal("0.005") or more * price > equity * Decimal("0.2")
