"""Verticals: what is picked from a chain, what is refused, and when the four spread strategies speak."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from services.strategy.app import build
from services.strategy.config import Settings
from services.strategy.core.bars import Bars
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Distance
from services.strategy.core.vertical import (
    NoPackage,
    Package,
    SpreadStrategy,
    Vertical,
    VerticalKind,
    limit_price,
    package_intent,
    refuse_spreads,
    select,
)
from services.strategy.strategies.bear_rally import BearRally
from services.strategy.strategies.bull_pullback import BullPullback
from services.strategy.strategies.high_base import HighBase
from services.strategy.strategies.low_base import LowBase
from shared import options
from shared.config import Common, ConfigError
from shared.instruments import parse
from shared.messages.broker_commands import ComboLeg
from shared.messages.market import Bar, Greeks, GreeksSource, Quote
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import QuoteQuality, Right, Side, Timeframe

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 15, tzinfo=UTC)
SPOT = Decimal(100)
CHAIN = {day: [Decimal(strike) for strike in range(70, 131)] for day in (date(2026, 1, 9), date(2026, 2, 6))}
CHAIN[date(2026, 3, 20)] = CHAIN[date(2026, 2, 6)]


def model_quote(name: str) -> Quote:
    """A quote 0.10 wide around the model's price at a volatility of 30 %, with its Greeks."""
    option = parse(name)
    assert option.expiry and option.right and option.strike  # noqa: PT018
    years = (option.expiry - TODAY).days / options.DAYS
    (found,) = options.greeks(option.right.value, float(SPOT), float(option.strike), years, [0.3], 0.01)
    middle = Decimal(repr(round(found.price, 2)))
    return Quote(
        symbol=name, bid=max(middle - Decimal("0.05"), Decimal(0)) or None, ask=middle + Decimal("0.05"), last=middle,
        bid_size=None, ask_size=None, volume=None, time=NOW, quality=QuoteQuality.LIVE,
        greeks=Greeks(
            implied_volatility=0.3, delta=found.delta, gamma=found.gamma, vega=found.vega, theta=found.theta,
            underlying_price=SPOT, source=GreeksSource.MODEL,
        ),
    )  # fmt: skip


STRATEGIES: dict[VerticalKind, type[SpreadStrategy]] = {
    strategy.kind: strategy for strategy in (HighBase, LowBase, BullPullback, BearRally)
}


def pick(vertical: Vertical, kind: VerticalKind = VerticalKind.BULL_CALL_DEBIT, **missing: str) -> Package | NoPackage:
    lost = set(missing.values())
    return select(
        STRATEGIES[kind](vertical=vertical),
        "ABC",
        SPOT,
        CHAIN,
        lambda name: None if name in lost else model_quote(name),
        TODAY,
    )


def terms(leg: ComboLeg) -> tuple[Right | None, int]:
    found = parse(leg.symbol)
    return found.right, int(found.strike or 0)


@pytest.mark.parametrize(
    ("kind", "delta", "right", "side", "direction"),
    [
        (VerticalKind.BULL_CALL_DEBIT, 0.55, Right.CALL, Side.BUY, 1),
        (VerticalKind.BEAR_PUT_DEBIT, 0.55, Right.PUT, Side.BUY, -1),
        (VerticalKind.BULL_PUT_CREDIT, 0.3, Right.PUT, Side.SELL, -1),
        (VerticalKind.BEAR_CALL_CREDIT, 0.3, Right.CALL, Side.SELL, 1),
    ],
)
def test_a_vertical_buys_near_and_sells_far_or_the_reverse(
    kind: VerticalKind, delta: float, right: Right, side: Side, direction: int
) -> None:
    found = pick(Vertical(delta=delta, width=0.05), kind)
    assert isinstance(found, Package)
    (near_right, near), (far_right, far) = (terms(leg) for leg in found.legs)
    assert (near_right, far_right, found.side) == (right, right, side)
    assert [leg.side for leg in found.legs] == [Side.BUY, Side.SELL]
    assert far - near == 5 * direction
    assert found.expiry == date(2026, 2, 6), "the first that is at least 21 days away"
    assert found.max_profit + found.max_loss == 5
    assert found.limit == (found.max_loss if side is Side.BUY else found.max_profit)
    deltas = {strike: _delta(right, strike) for strike in range(70, 131)}
    assert near == min(deltas, key=lambda strike: abs(deltas[strike] - delta))


def _delta(right: Right, strike: int) -> float:
    greeks = model_quote(f"ABC   260206{right.value}{strike * 1000:08d}").greeks
    assert greeks is not None
    return abs(greeks.delta)


def test_the_limit_gives_up_a_part_of_the_spread_and_rounds_toward_patience() -> None:
    bid, ask = Decimal("1.00"), Decimal("1.10")
    assert limit_price(bid, ask, Side.BUY, Decimal("0.5")) == ask
    assert limit_price(bid, ask, Side.SELL, Decimal("0.5")) == bid
    assert limit_price(bid, ask, Side.BUY, Decimal("0.25")) == Decimal("1.07")
    assert limit_price(bid, ask, Side.SELL, Decimal("0.25")) == Decimal("1.03")


def test_a_leg_without_a_quote_makes_no_package() -> None:
    vertical = Vertical()
    whole = pick(vertical)
    assert isinstance(whole, Package)
    without = pick(vertical, far=whole.legs[1].symbol)
    assert isinstance(without, NoPackage)
    assert without.code == "no_quote"
    assert whole.legs[1].symbol[6:12] == "260206"


def test_an_expiry_outside_the_range_makes_no_package() -> None:
    found = pick(Vertical(min_days=5, max_days=20, exit_days=1))
    assert isinstance(found, NoPackage)
    assert found.code == "no_expiry"


def test_a_price_beyond_the_strikes_distance_makes_no_package() -> None:
    wide = Vertical(delta=0.95, width=0.01, crossing=Decimal("0.5"))
    found = pick(wide)  # 1 USD between deep strikes whose quotes are 0.20 wide together
    assert isinstance(found, NoPackage)
    assert found.code == "no_profit"


def test_the_intent_carries_legs_losses_and_exits() -> None:
    vertical = Vertical(delta=0.3, profit_target=0.5, stop_loss=0.4, exit_days=7)
    package = pick(vertical, VerticalKind.BULL_PUT_CREDIT)
    assert isinstance(package, Package)
    bar = Bar(
        symbol="ABC", timeframe=Timeframe.DAY, start=NOW, end=NOW, open=SPOT, high=SPOT, low=SPOT, close=SPOT,
        volume=SPOT,
    )  # fmt: skip
    entry = OrderIntent(
        strategy="s", symbol="ABC", purpose=Purpose.ENTER, side=Side.BUY, score=1, reason="signal", bar=bar,
        expires_at=NOW, job_run_id=None,
    )  # fmt: skip
    intent = package_intent(entry, BullPullback(vertical=vertical), package)
    assert OrderIntent.model_validate(intent.model_dump()) == intent
    assert intent.side is Side.SELL
    assert intent.max_loss == package.max_loss * 100
    assert intent.target_distance == (package.limit / 2).quantize(Decimal("0.01"))
    assert intent.stop_distance == (package.max_loss * Decimal("0.4")).quantize(Decimal("0.01"))
    assert intent.close_on == date(2026, 1, 30)
    assert (intent.legs, intent.crossing) == (package.legs, vertical.crossing)


@pytest.mark.parametrize(
    "values", [{"min_days": 5, "exit_days": 5}, {"min_days": 40, "max_days": 30}, {"crossing": "0.6"}, {"width": 0}]
)
def test_a_vertical_that_can_not_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        Vertical.model_validate(values)


def test_a_spread_strategy_has_no_stop_of_its_own() -> None:
    with pytest.raises(ValidationError, match=r"vertical\.stop_loss"):
        HighBase(stop=Distance(fraction=0.03))


def test_a_spread_strategy_says_what_it_trades() -> None:
    with pytest.raises(TypeError, match="Wordless does not say what it trades"):
        type("Wordless", (SpreadStrategy,), {})


def test_where_there_are_no_options_spreads_are_refused() -> None:
    instance = Instance("bases", HighBase(), Timeframe.DAY, ("ABC",), timedelta(seconds=300))
    with pytest.raises(ConfigError, match="instance 'bases' trades option spreads: back-test it"):
        refuse_spreads([instance], "back-test it")


def test_live_a_spread_instance_is_refused_with_the_remedy() -> None:
    settings = Settings.model_validate({"instances": [{"name": "bases", "strategy": "high_base"}]})
    with pytest.raises(ConfigError, match=r"'bases' trades option spreads: .* back-test it, and take it out"):
        build(settings, Common.model_validate({"symbols": ["ABC"]}))


# Signals


def bars_of(closes: list[float], reach: float = 0.5) -> Bars:
    """Bars that reach 0.5 to each side of their close."""
    close = np.array(closes)
    end = np.datetime64("2026-01-01", "us") + np.arange(len(close)) * np.timedelta64(1, "D")
    return Bars(end, close, close + reach, close - reach, close, np.full(len(close), 1e6))


def rise_then_rest(direction: int) -> Bars:
    trend = [100 + direction * 0.5 * step for step in range(60)]
    rest = [trend[-1] + direction * 0.2 * (step % 2) for step in range(10)]
    return bars_of([*trend, *rest, rest[-1] - direction * 5])


@pytest.mark.parametrize(("strategy", "direction"), [(HighBase(tightness=0.02), 1), (LowBase(tightness=0.03), -1)])
def test_a_base_is_entered_once_after_the_move_and_left_when_it_breaks(
    strategy: SpreadStrategy, direction: int
) -> None:
    bars = rise_then_rest(direction)
    signals = strategy.generate_signals(bars)
    (entry,) = np.flatnonzero(signals.entry)
    assert 60 < entry < 70
    assert np.flatnonzero(signals.exit).tolist() == [70]
    assert signals.strength is not None
    assert 0 < signals.strength[entry] <= 1
    assert not strategy.generate_signals(rise_then_rest(-direction)).entry.any(), "no base after the opposite move"


@pytest.mark.parametrize(("strategy", "direction"), [(BullPullback(), 1), (BearRally(), -1)])
def test_a_pullback_is_entered_when_prices_turn_at_the_average(strategy: SpreadStrategy, direction: int) -> None:
    trend = [200 + direction * 0.5 * step for step in range(90)]
    back = [trend[-1] - direction * 2 * step for step in range(1, 5)]
    bars = bars_of([*trend, *back, back[-1] + direction * 5])
    signals = strategy.generate_signals(bars)
    assert np.flatnonzero(signals.entry).tolist() == [94]
    assert not signals.exit.any()
    falling = strategy.generate_signals(bars_of([*trend, *back, *(back[-1] - direction * 4 * n for n in range(1, 9))]))
    assert falling.exit.any(), "the trend is broken"
