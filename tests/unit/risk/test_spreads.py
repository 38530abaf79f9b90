"""Combinations as risk sees them: what they are quoted at, what they can lose, how many, and when they are left."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.risk.app import open_trades
from services.risk.config import Settings
from services.risk.core import spreads
from services.risk.core.judge import Judge
from services.risk.core.trade import Equity, Trade
from shared.messages.broker_commands import ComboLeg, NetPrice, PriceEffect
from shared.messages.market import Bar, Quote
from shared.messages.order import CancelEntry, ClosePosition, OrderChanged, PlaceOrder
from shared.messages.risk import IntentRefused
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Leg, OrderStatus, QuoteQuality, Side, Timeframe, TradingState

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)
NEAR, FAR = "ABC   260206C00100000", "ABC   260206C00105000"
PUT, LOWER_PUT = "ABC   260206P00095000", "ABC   260206P00090000"
CALLS = (ComboLeg(symbol=NEAR, side=Side.BUY), ComboLeg(symbol=FAR, side=Side.SELL))
PUTS = (ComboLeg(symbol=PUT, side=Side.BUY), ComboLeg(symbol=LOWER_PUT, side=Side.SELL))


def quote(symbol: str, bid: str | None, ask: str | None, **changes: Any) -> Quote:
    values: dict[str, Any] = {"time": NOW, "quality": QuoteQuality.LIVE, **changes}
    return Quote(
        symbol=symbol, bid=Decimal(bid) if bid else None, ask=Decimal(ask) if ask else None, last=None,
        bid_size=None, ask_size=None, volume=None, **values,
    )  # fmt: skip


QUOTES = {
    NEAR: quote(NEAR, "3.00", "3.20"),
    FAR: quote(FAR, "1.00", "1.10"),
    PUT: quote(PUT, "2.00", "2.10"),
    LOWER_PUT: quote(LOWER_PUT, "0.90", "1.00"),
}


def intent(**changes: Any) -> OrderIntent:
    values: dict[str, Any] = {
        "strategy": "bases", "symbol": "ABC", "purpose": Purpose.ENTER, "side": Side.BUY, "score": 1,
        "reason": "signal",
        "legs": CALLS, "max_loss": Decimal(220), "target_distance": Decimal("1.50"), "stop_distance": Decimal("1.00"),
        "close_on": date(2026, 2, 1), "crossing": Decimal("0.25"), "expires_at": NOW + timedelta(minutes=5),
        "job_run_id": None, "bar": Bar(
            symbol="ABC", timeframe=Timeframe.DAY, start=NOW, end=NOW, open=Decimal(100), high=Decimal(100),
            low=Decimal(100), close=Decimal(100), volume=Decimal(100),
        ),
    }  # fmt: skip
    return OrderIntent.model_validate({**values, **changes})


def make_judge(**settings: Any) -> Judge:
    equity = Equity("DU1", Decimal(100_000), "2026-01-05", Decimal(100_000), NOW)
    return Judge(Settings.model_validate(settings), TradingState.ACTIVE, equity)


def decide(judge: Judge, wanted: OrderIntent, number: int = 1, **quotes: Quote | None) -> Any:
    board = {symbol: found for symbol, found in {**QUOTES, **quotes}.items() if found}
    verdict, messages = judge.judge(UUID(int=number << 96), wanted, board, NOW, market_open=True)
    assert len(messages) == 1
    assert verdict.approved == isinstance(messages[0], PlaceOrder)
    return messages[0]


def test_a_net_quote_is_what_selling_and_buying_the_combination_brings_and_costs() -> None:
    net = spreads.net_quote("ABC", CALLS, QUOTES)
    assert net is not None
    assert (net.bid, net.ask) == (Decimal("1.90"), Decimal("2.20"))


def test_a_net_quote_is_as_old_and_as_poor_as_its_worst_leg() -> None:
    old = NOW - timedelta(seconds=90)
    net = spreads.net_quote(
        "ABC", CALLS, {**QUOTES, FAR: quote(FAR, "1", "1.1", time=old, quality=QuoteQuality.FROZEN)}
    )
    assert net is not None
    assert (net.time, net.quality) == (old, QuoteQuality.FROZEN)


def test_a_leg_without_a_bid_can_still_be_bought_back() -> None:
    net = spreads.net_quote("ABC", CALLS, {**QUOTES, FAR: quote(FAR, None, "0.05")})
    assert net is not None
    assert (net.bid, net.ask) == (Decimal("2.95"), None)
    assert spreads.net_quote("ABC", CALLS, {NEAR: QUOTES[NEAR]}) is None


@pytest.mark.parametrize(
    ("legs", "side", "price", "loss"),
    [
        (CALLS, Side.BUY, "2.05", "205"),  # a debit is all that is lost
        (CALLS, Side.SELL, "2.05", "295"),  # 5 USD of strikes less the credit
        (PUTS, Side.SELL, "1.10", "390"),
        ((ComboLeg(symbol=NEAR, side=Side.BUY), ComboLeg(symbol=PUT, side=Side.BUY)), Side.BUY, "5", "500"),
        ((ComboLeg(symbol=NEAR, side=Side.SELL), ComboLeg(symbol=FAR, side=Side.BUY)), Side.BUY, "-2", "300"),
        ((ComboLeg(symbol=NEAR, side=Side.BUY), ComboLeg(symbol=FAR, side=Side.SELL, ratio=2)), Side.BUY, "1", None),
        ((ComboLeg(symbol="ABC", side=Side.BUY, ratio=100), CALLS[1]), Side.BUY, "98", None),
        ((CALLS[0], ComboLeg(symbol="ABC   260306C00105000", side=Side.SELL)), Side.BUY, "1", None),
    ],
)
def test_the_worst_loss_is_at_a_strike_or_there_is_no_limit(
    legs: tuple[ComboLeg, ...], side: Side, price: str, loss: str | None
) -> None:
    assert spreads.worst_loss(legs, side, Decimal(price)) == (None if loss is None else Decimal(loss))


def test_a_debit_is_ordered_at_a_part_of_the_spread_and_sized_by_what_it_can_lose() -> None:
    order = decide(make_judge(risk_per_trade="0.01"), intent())
    assert order.net_price == NetPrice(effect=PriceEffect.DEBIT, amount=Decimal("2.12"))  # 2.05 + a quarter of 0.30
    assert order.quantity == 4  # 1000 USD at risk / 212
    assert order.legs == CALLS
    assert (order.limit_price, order.stop_price, order.target_price) == (None, None, None)


def test_a_credit_is_sold_and_its_loss_is_the_strikes_less_the_credit() -> None:
    order = decide(make_judge(risk_per_trade="0.01"), intent(side=Side.SELL, legs=PUTS, max_loss=Decimal(395)))
    assert (order.side, order.net_price) == (Side.SELL, NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("1.05")))
    assert order.quantity == 2  # 1000 / 395


@pytest.mark.parametrize(
    ("changes", "quotes", "settings", "code"),
    [
        ({}, {FAR: None}, {}, "leg_quotes"),
        ({}, {FAR: quote(FAR, None, "1.1")}, {}, "leg_quotes"),
        ({}, {FAR: quote(FAR, "1", "1.1", time=NOW - timedelta(seconds=121))}, {}, "stale_quote"),
        ({}, {NEAR: quote(NEAR, "3", "3.2", quality=QuoteQuality.DELAYED)}, {}, "quote_quality"),
        ({"max_loss": Decimal(200)}, {}, {}, "max_loss"),  # 212 is more than 2 % beyond
        ({"max_loss": None}, {}, {}, "max_loss"),
        ({"expires_at": NOW}, {}, {}, "intent_expiry"),
        ({"quantity": Decimal(100)}, {}, {}, "max_position_size"),
        ({"quantity": Decimal(90)}, {}, {"max_order_value": 10_000}, "max_order_value"),
        ({}, {}, {"risk_per_trade": "0.001"}, "minimum_size"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_code(
    changes: dict[str, Any], quotes: dict[str, Quote | None], settings: dict[str, Any], code: str
) -> None:
    refusal = decide(make_judge(**settings), intent(**changes), **quotes)
    assert isinstance(refusal, IntentRefused)
    assert refusal.code == code


def test_a_leg_on_the_other_side_of_what_is_held_is_refused() -> None:
    judge = make_judge()
    assert isinstance(decide(judge, intent()), PlaceOrder)
    refusal = decide(judge, intent(strategy="rallies", side=Side.SELL, max_loss=Decimal(305)), number=2)
    assert refusal.code == "opposite_leg"
    assert isinstance(decide(judge, intent(strategy="others"), number=3), PlaceOrder)


def held() -> Judge:
    """A judge whose combination was approved at 2.12 and has filled: 2 of them."""
    judge = make_judge()
    order = decide(judge, intent(quantity=Decimal(2)))
    judge.order_changed(changed(order.order_id, Leg.ENTRY, OrderStatus.FILLED, 2), {})
    return judge


def changed(order_id: str, leg: Leg, status: OrderStatus, filled: int) -> OrderChanged:
    suffix = "" if leg is Leg.ENTRY else f".{leg}"
    return OrderChanged(
        order_ref=order_id + suffix, order_id=order_id, leg=leg, strategy="bases", symbol="ABC", side=Side.BUY,
        quantity=Decimal(2), status=status, previous=OrderStatus.INTENT, filled=Decimal(filled), reason=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("near", "far", "day", "reason"),
    [
        (("3.90", "4.10"), ("0.90", "1.00"), 5, None),  # 2.90 is a gain of 0.78
        (("4.70", "4.80"), ("1.00", "1.08"), 5, "target"),  # 3.62
        (("1.40", "1.50"), ("0.20", "0.28"), 5, "stop"),  # 1.12
        (("3.00", "3.20"), ("1.00", "1.10"), 31, None),
        (("3.00", "3.20"), ("1.00", "1.10"), 32, "expiry"),
    ],
)
def test_a_combination_is_left_at_its_target_its_stop_and_its_last_day(
    near: tuple[str, str], far: tuple[str, str], day: int, reason: str | None
) -> None:
    judge = held()
    quotes = {NEAR: quote(NEAR, *near), FAR: quote(FAR, *far)}
    messages = judge.check_exits(quotes, NOW + timedelta(days=day - 5))
    if reason is None:
        assert messages == []
        return
    (close,) = messages
    assert isinstance(close, ClosePosition)
    assert close.reason.startswith(f"{reason}: ")
    assert close.legs == CALLS
    bid = Decimal(near[0]) - Decimal(far[1])
    assert close.net_price == NetPrice(effect=PriceEffect.CREDIT, amount=_down(bid * Decimal("0.995")))


def _down(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.01"), rounding="ROUND_FLOOR")


def test_what_is_being_closed_is_priced_again_until_it_has_gone() -> None:
    judge = held()
    quotes = {NEAR: quote(NEAR, "4.70", "4.80"), FAR: quote(FAR, None, "1.08")}
    (first,) = judge.check_exits(quotes, NOW)
    assert judge.check_exits({}, NOW) == [], "without a price nothing is guessed"
    (second,) = judge.check_exits({**quotes, NEAR: quote(NEAR, "4.60", "4.70")}, NOW)
    assert isinstance(first, ClosePosition)
    assert isinstance(second, ClosePosition)
    assert (first.net_price, second.net_price) == (
        NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("3.60")),
        NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("3.50")),
    )
    judge.order_changed(changed(first.order_id, Leg.EXIT, OrderStatus.FILLED, 2), {})
    assert judge.trades == {}


def test_paying_to_get_rid_of_a_combination_is_a_debit() -> None:
    package = spreads.Package(CALLS, Side.BUY, Decimal("2.12"), None, Decimal(1), None)
    net = spreads.net_quote("ABC", CALLS, {NEAR: quote(NEAR, "0.01", "0.05"), FAR: quote(FAR, None, "0.05")})
    close = spreads.close("id", "ABC", package, net, "stop: all of it", Settings())
    assert close is not None
    assert close.net_price == NetPrice(effect=PriceEffect.DEBIT, amount=Decimal("0.05"))


def test_an_exit_signal_cancels_an_entry_that_has_not_filled() -> None:
    judge = make_judge()
    order = decide(judge, intent())
    exit_intent = intent(purpose=Purpose.EXIT, legs=(), side=Side.SELL, max_loss=None)
    _, messages = judge.judge(UUID(int=9), exit_intent, QUOTES, NOW, market_open=True)
    assert messages == [CancelEntry(order_id=order.order_id, reason="signal")]


def test_what_an_assignment_left_takes_the_place_of_a_combination() -> None:
    judge = held()
    (order_id,) = judge.trades
    shares = Trade(
        f"{order_id}.shares", "bases", "ABC", Side.SELL, NOW, OrderStatus.FILLED, Decimal(200),
        closing="expiry: what a settlement left is closed",
    )  # fmt: skip
    judge.settled(order_id, [shares])
    (close,) = judge.check_exits({"ABC": quote("ABC", "109.90", "110.00")}, NOW)
    assert isinstance(close, ClosePosition)
    assert (close.order_id, close.limit_price) == (shares.order_id, Decimal("110.55"))


@pytest.mark.parametrize(("side", "legs", "told"), [(Side.BUY, CALLS, 220), (Side.SELL, PUTS, 395)])
def test_a_combination_is_remembered_over_a_restart(side: Side, legs: tuple[ComboLeg, ...], told: int) -> None:
    judge = make_judge()
    wanted = intent(side=side, legs=legs, max_loss=Decimal(told))
    verdict, _ = judge.judge(UUID(int=1), wanted, QUOTES, NOW, market_open=True)
    assert verdict.placed is not None
    decision: dict[str, Any] = {
        "order_id": verdict.order_id, "strategy": "bases", "symbol": "ABC", "decided_at": NOW,
        "intent": wanted.model_dump(mode="json"), "placed": verdict.placed.model_dump(mode="json"),
    }  # fmt: skip
    assert open_trades([decision], []) == judge.trades


def test_an_option_alone_is_closed_on_its_wider_grid() -> None:
    settings = Settings()
    assert spreads.tick_size(NEAR, Decimal("3.00"), settings) == Decimal("0.05")
    assert spreads.tick_size(NEAR, Decimal("2.99"), settings) == settings.tick_size
    assert spreads.tick_size("ABC", Decimal(100), settings) == settings.tick_size
