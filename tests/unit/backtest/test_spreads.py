"""Option spreads in a backtest: nights, and the four strategies on real prices. The books must be the account."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from services.backtest.adapters.market import make_engine, replay_settings
from services.backtest.config import RunConfig
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import ExitReason, Trade
from services.backtest.core.replay import replay
from services.backtest.core.replay_orders import OrderPath
from services.backtest.live import LiveSettings
from services.risk.config import Settings as RiskSettings
from services.simulator.core.assembly import make_market
from services.simulator.core.bars import DailyBar, DailySeries
from services.simulator.core.catalogue import stock
from services.simulator.core.commissions import Commissions
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.engine import Engine
from services.simulator.core.quotes import MarketTerms
from services.simulator.core.tape import Session
from services.strategy.core.host import Instance
from services.strategy.core.vertical import SpreadStrategy
from services.strategy.strategies.bear_rally import BearRally
from services.strategy.strategies.bull_pullback import BullPullback
from services.strategy.strategies.high_base import HighBase
from services.strategy.strategies.low_base import LowBase
from shared import calendar
from shared.instruments import option
from shared.messages.base import Envelope
from shared.messages.broker_commands import ComboLeg
from shared.messages.market import Bar
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Right, Side, Timeframe

CASH = Decimal(1_000_000)
ABC = stock("ABC")
EXPIRY = date(2010, 1, 15)
FIRST, LAST = date(2010, 1, 4), date(2010, 1, 22)
CONFIG = Path(__file__).parents[3] / "config"


def make_path(prices: dict[date, int], *actions: CorporateAction) -> OrderPath:
    """A broker and its books on a stock at 100 USD, from the dates in `prices` on at those prices in USD.

    Until the first session it moves by 1 USD to each side, so that its options are worth something.
    """
    found = [(day, calendar.session_hours(day)) for day in calendar.sessions(date(2009, 11, 2), date(2010, 2, 1))]
    sessions = [Session(day, *hours) for day, hours in found if hours]
    bars: list[DailyBar] = []
    cents = 100_00
    for number, session in enumerate(sessions):
        before, cents = cents, prices.get(session.day, cents // 100) * 100
        if session.day < FIRST:
            cents = (99 + number % 2 * 2) * 100 if session.day < date(2009, 12, 31) else 100_00
        bars.append(DailyBar(session.day, before, max(before, cents), min(before, cents), cents, 200_000_000))
    series, terms = {ABC: DailySeries("ABC", bars)}, MarketTerms()
    market = make_market(sessions, series, FIRST, LAST, terms, actions={ABC.contract_id: actions})
    path = OrderPath(Engine(market, ("DU1",), CASH, Commissions()), RiskSettings(), ("ABC",))
    path.reconcile()
    return path


def enter(path: OrderPath, right: Right, near: int, far: int, side: Side, quantity: int, **changes: Any) -> None:
    """Want a vertical that expires on EXPIRY five minutes after the first open or later, and wait an hour."""
    path.advance(path.desk.engine.market.sessions[0].open + timedelta(minutes=5))
    now, price = path.desk.engine.now, Decimal(100)
    names = [option("ABC", EXPIRY, right, Decimal(strike)).name for strike in (near, far)]
    values: dict[str, Any] = {
        "strategy": "bases", "symbol": "ABC", "purpose": Purpose.ENTER, "side": side, "score": 1, "reason": "signal",
        "legs": (ComboLeg(symbol=names[0], side=Side.BUY), ComboLeg(symbol=names[1], side=Side.SELL)),
        "max_loss": Decimal(500), "quantity": Decimal(quantity), "expires_at": now + timedelta(minutes=5),
        "job_run_id": None, "bar": Bar(
            symbol="ABC", timeframe=Timeframe.DAY, start=now, end=now, open=price, high=price, low=price,
            close=price, volume=price,
        ),
    }  # fmt: skip
    intent = OrderIntent.model_validate({**values, **changes})
    path.intend(Envelope(uuid5(UUID(int=1), intent.strategy), "strategy", now, "ABC", UUID(int=1), None, intent))
    path.settle()
    path.advance(now + timedelta(hours=1))


def trade_on(path: OrderPath) -> Sequence[Trade]:
    """Go through the rest of the sessions as a backtest does."""
    previous_close = path.desk.engine.market.sessions[0].open
    for session in path.desk.engine.market.sessions:
        path.advance(session.open)
        path.begin_day(previous_close)
        previous_close = session.close
        path.reconcile()
        path.advance(session.close - timedelta(minutes=15))
        path.check_exits()
        path.advance(session.close)
        path.finish_trades()
        assert_books_are_the_account(path)
    return path.ledger.trades


def assert_books_are_the_account(path: OrderPath) -> None:
    (account,) = path.desk.engine.accounts.values()
    instruments = path.desk.engine.market.instrument
    theirs = {instruments(number).local_symbol: held.quantity for number, held in account.positions.items()}
    ours = {symbol: held.quantity for symbol, held in path.books.positions.items()}
    assert {symbol: held for symbol, held in ours.items() if held} == {
        symbol: held for symbol, held in theirs.items() if held
    }
    positions = path.books.positions.values()
    realised = sum((held.realised - held.commissions for held in positions), Decimal(0))
    cash = CASH + realised - sum((held.quantity * held.average_price for held in positions), Decimal(0))
    assert (cash + account.income).quantize(Decimal("0.000001")) == account.cash
    if not any(ours.values()):
        assert realised.quantize(Decimal("0.000001")) == account.realized
    assert path.disarmed == []


@pytest.mark.parametrize(
    ("right", "near", "far", "side", "last_price", "worth"),
    [
        (Right.CALL, 100, 105, Side.BUY, 108, 5),  # both are exercised and assigned: the strikes' distance
        (Right.CALL, 100, 105, Side.BUY, 95, 0),
        (Right.PUT, 100, 95, Side.SELL, 90, 5),
        (Right.PUT, 100, 95, Side.SELL, 101, 0),
        (Right.CALL, 100, 105, Side.SELL, 99, 0),
    ],
)
def test_a_spread_that_expires_wholly_in_or_out_of_the_money_leaves_nothing(
    right: Right, near: int, far: int, side: Side, last_price: int, worth: int
) -> None:
    path = make_path({EXPIRY: last_price})
    enter(path, right, near, far, side, 3)
    (trade,) = trade_on(path)
    assert (trade.reason, trade.exit_price, trade.quantity) == (ExitReason.EXPIRY, worth, 3)
    assert trade.closed_at.date() == EXPIRY + timedelta(days=1), "02:30 in New York"
    (account,) = path.desk.engine.accounts.values()
    assert trade.net == account.cash - CASH


@pytest.mark.parametrize(
    ("right", "far", "side", "last_price", "shares"),
    [
        (Right.CALL, 105, Side.BUY, 103, Side.BUY),
        (Right.CALL, 105, Side.SELL, 103, Side.SELL),
        (Right.PUT, 95, Side.BUY, 97, Side.SELL),
        (Right.PUT, 95, Side.SELL, 97, Side.BUY),
    ],
)
def test_what_is_delivered_between_the_strikes_is_closed_the_next_session(
    right: Right, far: int, side: Side, last_price: int, shares: Side
) -> None:
    path = make_path({EXPIRY: last_price})
    enter(path, right, 100, far, side, 3)
    spread, rest = trade_on(path)
    assert (spread.reason, spread.exit_price) == (ExitReason.EXPIRY, 3)
    assert (rest.order_id, rest.side, rest.quantity) == (f"{spread.order_id}.shares", shares, 300)
    assert rest.entry_price == last_price
    assert rest.closed_at.date() == date(2010, 1, 19), "Monday is a holiday"
    (account,) = path.desk.engine.accounts.values()
    assert spread.net + rest.net == account.cash - CASH


def test_an_early_assignment_ends_the_spread_and_both_its_parts_are_closed() -> None:
    dividend = CorporateAction(date(2010, 1, 12), ActionKind.DIVIDEND, Decimal(3))
    path = make_path({date(2010, 1, 6): 108}, dividend)
    enter(path, Right.CALL, 100, 105, Side.SELL, 2)
    trades = {trade.order_id.partition(".")[2]: trade for trade in trade_on(path)}
    assert trades.keys() == {"", "shares", "leg"}
    assert all(trade.reason is ExitReason.EXPIRY for trade in trades.values())
    assert (trades["shares"].side, trades["shares"].quantity) == (Side.SELL, 200)
    assert (trades["leg"].side, trades["leg"].quantity) == (Side.BUY, 2)
    assert {trade.closed_at.date() for trade in trades.values()} == {date(2010, 1, 12)}
    (account,) = path.desk.engine.accounts.values()
    assert account.income == -600, "the shares were short on the ex-date"
    assert sum(trade.net for trade in trades.values()) + account.income == account.cash - CASH


def test_two_strategies_in_one_contract_each_get_their_part_of_what_is_delivered() -> None:
    path = make_path({EXPIRY: 103})
    enter(path, Right.CALL, 100, 105, Side.BUY, 3)
    enter(path, Right.CALL, 100, 105, Side.BUY, 2, strategy="pullbacks")
    shares = {trade.strategy: trade.quantity for trade in trade_on(path) if trade.order_id.endswith(".shares")}
    assert shares == {"bases": 300, "pullbacks": 200}


def test_a_split_ends_a_spread_at_what_its_options_were_worth() -> None:
    split = CorporateAction(date(2010, 1, 12), ActionKind.SPLIT, Decimal(2))
    path = make_path({split.day: 50}, split)
    enter(path, Right.PUT, 100, 95, Side.BUY, 2)
    (trade,) = trade_on(path)
    assert (trade.reason, trade.closed_at.date()) == (ExitReason.EXPIRY, split.day)
    assert 0 < trade.exit_price < 5
    (account,) = path.desk.engine.accounts.values()
    assert trade.net == account.cash - CASH


def test_an_exit_that_does_not_fill_is_priced_again_by_the_same_order() -> None:
    path = make_path({date(2010, 1, 6): 106})
    enter(path, Right.CALL, 100, 105, Side.SELL, 500, stop_distance=Decimal(2))
    path.advance(path.desk.engine.market.sessions[3].open + timedelta(minutes=1))
    for _ in range(3):  # the loss is past its stop; the quotes show few contracts a minute
        path.check_exits()
        path.advance(path.desk.engine.now + timedelta(minutes=2))
    changes = [(order.what, order.order_ref.partition(".")[2]) for order in path.desk.engine.received]
    assert changes[0] == ("place", "")
    assert changes[1] == ("place", "exit")
    assert set(changes[2:]) <= {("modify", "exit")}
    assert trade_on(path)[0].reason is ExitReason.STOP


def test_a_package_with_a_leg_without_a_quote_is_not_traded() -> None:
    path = make_path({})
    enter(path, Right.CALL, 100, 115, Side.BUY, 1)  # the higher call has no bid
    assert path.books.positions == {}
    assert path.refusals == {"leg_quotes": 1}


# The strategies


def run(strategy: SpreadStrategy, symbol: str, first: date, last: date, **changes: Any) -> Any:
    instance = Instance("spreads", strategy, Timeframe.DAY, (symbol,), timedelta(seconds=300))
    config = RunConfig.model_validate(
        {"strategies": [{"name": "spreads", "strategy": "x"}], "symbols": [symbol], "first": first, "last": last}
    )
    live = LiveSettings.load({"MILLRACE_CONFIG_FOLDER": str(CONFIG)})
    engine = make_engine(config, live)
    return replay(engine, [instance], replay_settings(config, Evidence(), live), Evidence().readings), engine


@pytest.mark.parametrize(
    ("strategy", "symbol", "first", "last", "side"),
    [
        (HighBase(), "IBM", date(2010, 10, 18), date(2010, 12, 3), Side.BUY),
        (LowBase(), "MSFT", date(2010, 2, 8), date(2010, 3, 12), Side.BUY),
        (BullPullback(), "AAPL", date(2010, 5, 10), date(2010, 6, 18), Side.SELL),
        (BearRally(), "GOOG", date(2010, 2, 12), date(2010, 3, 26), Side.SELL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SpreadStrategy) else "",
)
def test_each_strategy_trades_its_vertical_on_real_prices(
    strategy: SpreadStrategy, symbol: str, first: date, last: date, side: Side
) -> None:
    result, engine = run(strategy, symbol, first, last)
    assert result.failures == ()
    assert len(result.trades) >= 2
    assert {(trade.symbol, trade.side) for trade in result.trades} == {(symbol, side)}
    (account,) = engine.accounts.values()
    value = CASH + sum(trade.net for trade in result.trades)
    assert float(value) == pytest.approx(result.curve.value[-1], abs=0.005)
    combinations = [one for one in engine.executions if one.combo]
    traded = {engine.market.instrument(one.contract_id) for one in engine.executions if one.leg}
    assert {one.right for one in traded} == {strategy.kind.right.value}
    assert len(combinations) >= len(result.trades)
    for trade in result.trades:
        assert trade.mid_profit > trade.net, "spreads and commissions cost"
    assert account.account_id
