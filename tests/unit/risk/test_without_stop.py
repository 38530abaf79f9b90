"""Entries without a stop, and of a size that the strategy wants: refused, sized, closed and remembered."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from services.risk.config import Settings
from services.risk.core.judge import Judge, Trade
from services.risk.core.sizing import stop_price, target_price
from shared.messages.order import ClosePosition, OrderChanged, PlaceOrder, Reconciled
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Leg, OrderStatus, Side
from tests.unit.risk.test_judge import ACCOUNT, NOW, armed, changed, decide, intent, quote

BARE = intent(stop_distance=None, target_distance=None)


def free(**settings: object) -> Judge:
    return armed(require_stop=False, **settings)


def placed(judge: Judge, wish: OrderIntent) -> PlaceOrder:
    _, (order,) = judge.judge(uuid4(), wish, {"AAPL": quote()}, NOW, market_open=True)
    assert isinstance(order, PlaceOrder)
    return order


def test_an_entry_without_a_stop_is_refused_unless_the_trader_allows_it() -> None:
    assert decide(armed(), BARE, quote())[0] == "stop_loss"
    assert decide(armed(), intent(stop_distance=None), quote())[0] == "stop_loss"
    assert decide(free(), BARE, quote())[0] is None


def test_without_a_stop_the_largest_position_is_the_size() -> None:
    order = placed(free(), BARE)
    assert order.quantity == 353  # a fifth of a million at 565.02
    assert (order.stop_price, order.target_price) == (None, None)
    assert order.limit_price == Decimal("565.02")


@pytest.mark.parametrize("stop", [None, Decimal(20)])
def test_the_strategys_own_size_wins_over_the_sizer(stop: Decimal | None) -> None:
    assert placed(free(), intent(stop_distance=stop, quantity=Decimal(7))).quantity == 7


@pytest.mark.parametrize(
    ("quantity", "settings", "code"),
    [
        ("354", {}, "max_position_size"),
        ("300", {"max_order_value": Decimal(100_000)}, "max_order_value"),
        ("0.5", {}, "minimum_size"),
    ],
)
def test_every_limit_holds_for_the_strategys_own_size(quantity: str, settings: dict[str, object], code: str) -> None:
    assert decide(free(**settings), intent(stop_distance=None, quantity=Decimal(quantity)), quote())[0] == code


def test_an_account_below_zero_enters_nothing() -> None:
    judge = free()
    poor = ACCOUNT.model_copy(update={"net_liquidation": Decimal(-5)})
    judge.reconciled(Reconciled(request_id=None, account=poor, breaks=()), "2012-06-04", NOW, {})
    assert decide(judge, intent(quantity=Decimal(7)), quote())[0] == "max_position_size"


def test_a_target_may_stand_alone_and_a_stop_gets_a_far_target() -> None:
    order = placed(free(), intent(stop_distance=None))
    assert (order.stop_price, order.target_price) == (None, Decimal("605.02"))
    order = placed(free(), intent(target_distance=None))
    assert (order.stop_price, order.target_price) == (Decimal("545.02"), Decimal("1130.04"))


def exited(trade: Trade, number: int, status: OrderStatus, filled: int) -> OrderChanged:
    ref = f"{trade.order_id}.exit{number if number > 1 else ''}"
    return changed(trade, Leg.EXIT, status, filled).model_copy(update={"order_ref": ref})


def test_the_fills_of_all_exits_end_a_trade() -> None:
    judge = free()
    decide(judge, BARE, quote())
    (trade,) = judge.trades.values()
    judge.order_changed(changed(trade, Leg.ENTRY, OrderStatus.FILLED, 100), {})
    _, (close,) = decide(judge, intent(purpose=Purpose.EXIT, side=Side.SELL, reason="crossed below"), quote())
    assert isinstance(close, ClosePosition)
    judge.order_changed(exited(trade, 1, OrderStatus.PARTIALLY_FILLED, 30), {})
    judge.order_changed(exited(trade, 1, OrderStatus.EXPIRED, 40), {})
    assert judge.trades[trade.order_id].held
    (again,) = judge.check_exits({"AAPL": quote()}, NOW + timedelta(days=1))
    assert isinstance(again, ClosePosition)
    judge.order_changed(exited(trade, 2, OrderStatus.FILLED, 60), {})
    assert judge.trades == {}


def test_stops_are_nearer_and_targets_farther_than_asked_by_less_than_a_tick() -> None:
    limit, tick, distance = Decimal(10), Decimal("0.05"), Decimal("0.12")
    assert stop_price(Side.BUY, limit, distance, tick) == Decimal("9.90")
    assert stop_price(Side.SELL, limit, distance, tick) == Decimal("10.10")
    assert target_price(Side.BUY, limit, distance, tick) == Decimal("10.15")
    assert target_price(Side.SELL, limit, distance, tick) == Decimal("9.85")
    assert stop_price(Side.BUY, limit, Decimal(11), tick) == target_price(Side.SELL, limit, Decimal(11), tick) == tick


def test_a_stop_is_required_unless_the_settings_say_otherwise() -> None:
    assert Settings().require_stop
