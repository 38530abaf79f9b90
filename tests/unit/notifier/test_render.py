"""Which events become alerts, and that the words say what happened and why."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from services.notifier.core.render import render
from shared.messages.alert import DeadLetter
from shared.messages.broker import BrokerTime
from shared.messages.order import OrderFilled
from shared.messages.risk import IntentRefused, RuleCheck, TradingStateChanged
from shared.types import Leg, Side, TradingState

NOW = datetime(2012, 6, 1, tzinfo=UTC)


def refusal(code: str) -> IntentRefused:
    check = RuleCheck(rule=code, value="140 s", limit="at most 120 s", passed=False)
    return IntentRefused(intent_id=UUID(int=1), strategy="crossover", symbol="AAPL", code=code, checks=(check,))


def test_a_fill_tells_price_profit_and_position() -> None:
    fill = OrderFilled(
        execution_id="e",
        order_ref="A.stop",
        order_id="A",
        leg=Leg.STOP,
        strategy="crossover",
        symbol="AAPL",
        side=Side.SELL,
        quantity=Decimal(100),
        price=Decimal("540.5"),
        realised=Decimal("-1950"),
        position_quantity=Decimal(0),
        average_price=Decimal(0),
        time=NOW,
    )
    alert = render(fill, ())
    assert alert is not None
    assert alert.title == "SELL 100 AAPL at 540.5"
    assert "realised -1950.00 USD" in alert.body
    assert "stop of A" in alert.body


def test_a_refusal_names_rule_value_and_limit_unless_it_is_everyday() -> None:
    alert = render(refusal("stale_quote"), ("no_position",))
    assert alert is not None
    assert "stale_quote: 140 s (limit: at most 120 s)" in alert.body
    assert render(refusal("no_position"), ("no_position",)) is None


def test_a_trading_state_change_names_who_and_why() -> None:
    change = TradingStateChanged(
        state=TradingState.HALTED, previous=TradingState.ACTIVE, reason="storm", actor="trader"
    )
    alert = render(change, ())
    assert alert is not None
    assert (alert.title, alert.body) == ("Trading HALTED", "Was ACTIVE; by trader: storm")


def test_a_dead_letter_alerts_and_the_clock_does_not() -> None:
    letter = DeadLetter(stream="order.events", entry_id="1-0", group="risk", reason="not JSON", body="{")
    assert render(letter, ()) is not None
    assert render(BrokerTime(now=NOW), ()) is None
