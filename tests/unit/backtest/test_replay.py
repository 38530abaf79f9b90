"""The SIMULATOR way of filling: whole runs on a small made-up market."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.backtest.core.model import ExitReason, Result
from services.backtest.core.replay import ReplaySettings, replay
from services.risk.config import Settings as RiskSettings
from services.scanner.core.filters import Filters
from services.scheduler.core.schedule import JobTime
from services.simulator.core.assembly import make_market
from services.simulator.core.bars import DailyBar, DailySeries
from services.simulator.core.catalogue import stock
from services.simulator.core.commissions import Commissions
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.engine import Engine
from services.simulator.core.quotes import MarketTerms
from services.simulator.core.tape import Session
from services.strategy.core.bars import Bars
from services.strategy.core.confluence import Confluence, Readings
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Distance, Signals, Strategy
from services.strategy.strategies.moving_average_crossover import MovingAverageCrossover
from shared.calendar import session_hours, sessions
from shared.messages.job import Job
from shared.types import Timeframe

CASH = Decimal(1_000_000)
DAYS = sessions(date(2012, 1, 3), date(2012, 5, 31))
FIRST = DAYS[40]
SYMBOLS = ("AAA", "BBB", "CCC")
JOBS = (
    JobTime(job=Job.SYNC_POSITIONS, after_open_minutes=1),
    JobTime(job=Job.SCAN, after_open_minutes=2),
    JobTime(job=Job.EVALUATE_STRATEGIES, after_open_minutes=5),
    JobTime(job=Job.CHECK_EXITS, before_close_minutes=15),
    JobTime(job=Job.FETCH_BARS, after_close_minutes=5),
)
SETTINGS = ReplaySettings(
    symbols=SYMBOLS,
    jobs=JOBS,
    risk=RiskSettings(),
    confluence=Confluence(),
    history_bars=30,
    window_bars=30,
)


def walk(seed: int, volume: int = 5_000_000) -> list[DailyBar]:
    """A random walk from 50 USD on, in cents."""
    moves = np.random.default_rng(seed).normal(0, 0.02, (len(DAYS), 4))
    bars: list[DailyBar] = []
    last = 5000.0
    for day, (night, day_move, up, down) in zip(DAYS, moves.tolist(), strict=True):
        opening = last * (1 + night / 2)
        last = opening * (1 + day_move)
        high, low = max(opening, last) * (1 + abs(up) / 2), min(opening, last) * (1 - abs(down) / 2)
        bars.append(DailyBar(day, round(opening), round(high), round(low), round(last), volume))
    return bars


def engine(volume: int = 5_000_000, actions: Sequence[CorporateAction] = ()) -> Engine:
    """`actions` are those of AAA; its prices are not changed by them."""
    hours = [Session(day, *found) for day in DAYS if (found := session_hours(day))]
    listed = {stock(symbol): DailySeries(symbol, walk(seed, volume)) for seed, symbol in enumerate(SYMBOLS)}
    market = make_market(
        hours, listed, FIRST, DAYS[-1], MarketTerms(), actions={stock("AAA").contract_id: actions}, options=False
    )
    return Engine(market, ["DU1"], CASH, Commissions())


CROSSOVER = MovingAverageCrossover(fast=2, slow=5, stop=Distance(fraction=0.04), target=Distance(fraction=0.04))


def instance(
    strategy: Strategy, name: str = "one", symbols: Sequence[str] = SYMBOLS, minimum_score: float = 0.0
) -> Instance:
    return Instance(name, strategy, Timeframe.DAY, tuple(symbols), timedelta(seconds=300), minimum_score)


def run(*instances: Instance, settings: ReplaySettings = SETTINGS, on: Engine | None = None) -> Result:
    return replay(on or engine(), instances, settings, Readings())


def risk(**changes: object) -> ReplaySettings:
    return replace(SETTINGS, risk=RiskSettings.model_validate(changes))


class AlwaysIn(Strategy):
    """Enters whenever it may, and never leaves."""

    stop: Distance | None = None
    target: Distance | None = None

    @property
    def minimum_bars(self) -> int:
        return 2

    def generate_signals(self, bars: Bars) -> Signals:
        never = np.zeros(len(bars), dtype=np.bool_)
        return Signals(entry=~never, exit=never, strength=np.full(len(bars), 0.5))


class Broken(AlwaysIn):
    def generate_signals(self, bars: Bars) -> Signals:
        raise ZeroDivisionError(f"no volume in {len(bars) * 0} bars")


def test_what_the_trades_earned_is_what_the_account_has() -> None:
    on = engine()
    result = run(instance(CROSSOVER), on=on)
    assert len(result.trades) >= 15
    assert {trade.reason for trade in result.trades} >= {ExitReason.STOP, ExitReason.TARGET, ExitReason.SIGNAL}
    assert result.cash + sum(trade.net for trade in result.trades) == on.valuation().net_liquidation
    assert float(on.valuation().net_liquidation) == result.curve.value[-1]
    assert sum(trade.commission for trade in result.trades) == on.accounts["DU1"].commissions
    assert result.turnover == sum(one.shares * one.price for one in on.executions)
    assert not result.failures


def test_the_curve_has_every_sessions_close() -> None:
    result = run(instance(CROSSOVER))
    assert len(result.curve.time) == len(DAYS) - 40
    assert result.curve.time[0] == np.datetime64("2012-03-01T21:00", "us")
    assert ((result.curve.exposure >= 0) & (result.curve.exposure <= 1)).all()
    closes = [walk(seed)[-1].close / walk(seed)[40].open for seed in range(3)]
    assert result.curve.benchmark[-1] == pytest.approx(1_000_000 * sum(closes) / 3)
    one = run(instance(CROSSOVER), settings=replace(SETTINGS, benchmark="BBB"))
    assert one.curve.benchmark[-1] == pytest.approx(1_000_000 * closes[1])


def test_the_same_again_is_the_same() -> None:
    one, other = run(instance(CROSSOVER)), run(instance(CROSSOVER))
    assert (one.trades, one.orders, one.refusals) == (other.trades, other.orders, other.refusals)
    assert (one.curve.value == other.curve.value).all()


def test_orders_are_those_that_the_broker_received() -> None:
    """A bracket is three orders; leaving by signal changes its target."""
    result = run(instance(CROSSOVER))
    first = result.orders[0].order_ref
    assert [order.order_ref for order in result.orders[:3]] == [first, f"{first}.stop", f"{first}.target"]
    assert [order.order_type for order in result.orders[:3]] == ["LMT", "STP", "LMT"]
    assert [order.change for order in result.orders[:3]] == ["new"] * 3
    changed = {order.order_ref for order in result.orders if order.change == "modify"}
    left = {f"{trade.order_id}.target" for trade in result.trades if trade.reason is ExitReason.SIGNAL}
    assert left
    assert left <= changed


def test_mid_prices_leave_out_spread_and_book() -> None:
    """With so little volume orders climb the book, and the stops pay for it."""
    thin, thick = (run(instance(CROSSOVER), on=engine(volume)) for volume in (40_000, 50_000_000))
    cost_thin, cost_thick = (
        sum(trade.mid_profit - trade.profit for trade in found.trades) / found.turnover for found in (thin, thick)
    )
    assert cost_thin > cost_thick > 0


def test_a_strategy_that_raises_is_isolated_and_told_once() -> None:
    alone = run(instance(CROSSOVER))
    result = run(instance(Broken(), "broken"), instance(CROSSOVER))
    assert result.trades == alone.trades
    assert len(result.failures) == len(SYMBOLS)
    assert result.failures[0].startswith("broken failed on AAA: ZeroDivisionError: no volume in 0 bars (")


def test_a_position_without_stop_is_closed_by_an_order_of_its_own_when_it_is_old() -> None:
    result = run(instance(AlwaysIn(), symbols=["AAA"]), settings=risk(require_stop=False, max_holding_days=7))
    assert {trade.reason for trade in result.trades[:-1]} == {ExitReason.TIME}
    assert {order.order_ref.rpartition(".")[2] for order in result.orders if "." in order.order_ref} == {"exit"}
    for trade in result.trades[:-1]:
        assert timedelta(days=7) <= trade.closed_at - trade.opened_at < timedelta(days=12)


def test_what_is_open_at_the_end_is_valued_at_the_last_price() -> None:
    result = run(instance(AlwaysIn(), symbols=["AAA"]), settings=risk(require_stop=False))
    last = result.trades[-1]
    assert (last.reason, last.exit_price) == (ExitReason.END, Decimal(walk(0)[-1].close) / 100)
    assert last.commission == max(1, last.quantity * Decimal("0.005")).quantize(Decimal("0.01"))


def test_refusals_are_counted_by_code() -> None:
    result = run(instance(AlwaysIn()), settings=risk(require_stop=False, max_positions=1))
    assert result.refusals["max_positions"] > 20
    assert result.refusals["duplicate_intent"] > 20
    assert run(instance(AlwaysIn())).refusals == {"stop_loss": 3 * (len(DAYS) - 40)}


def test_a_score_below_the_minimum_is_a_refusal_too() -> None:
    settings = risk(require_stop=False)
    assert not run(instance(AlwaysIn(), minimum_score=0.6), settings=settings).trades
    refusals = run(instance(AlwaysIn(), minimum_score=0.6), settings=settings).refusals
    assert refusals == {"score_below_minimum": 3 * (len(DAYS) - 40)}


def test_only_what_the_scanner_keeps_is_entered() -> None:
    cheap = replace(SETTINGS, filters=Filters(Decimal(1), Decimal(1), -0.9, 20))
    assert run(instance(CROSSOVER), settings=cheap).trades == run(instance(CROSSOVER)).trades
    dear = replace(SETTINGS, filters=Filters(Decimal(10_000), Decimal(1), -0.9, 20))
    assert not run(instance(CROSSOVER), settings=dear).orders


def test_an_exit_frees_its_slot_for_the_next_evaluation_only() -> None:
    """All intents of an evaluation are judged before its first order is sent."""
    result = run(instance(CROSSOVER), settings=risk(max_positions=1))
    assert len(result.trades) >= 5
    for before, after in zip(result.trades, result.trades[1:], strict=False):
        assert after.opened_at > before.closed_at


def test_a_split_while_a_position_is_held_is_told_and_its_trade_counts_the_new_shares() -> None:
    """The books know nothing of splits, as live: they differ from the account, and trading is disarmed."""
    on = engine(actions=[CorporateAction(DAYS[60], ActionKind.SPLIT, Decimal(2))])
    result = run(instance(AlwaysIn(), symbols=["AAA"]), settings=risk(require_stop=False, max_holding_days=400), on=on)
    (trade,) = result.trades
    assert trade.exit_price == 2 * Decimal(walk(0)[-1].close) / 100
    assert result.cash + trade.net == on.valuation().net_liquidation
    (failure,) = result.failures
    assert failure.startswith(f"trading was disabled on {DAYS[60]}: the books differ from the broker's: position AAA")


def test_a_halt_after_a_daily_loss_is_told() -> None:
    again = JobTime(job=Job.SYNC_POSITIONS, before_close_minutes=30)
    settings = replace(risk(require_stop=False, max_daily_loss="0.0001", loss_confirmations=2), jobs=(*JOBS, again))
    (failure,) = run(instance(AlwaysIn(), symbols=["AAA"]), settings=settings).failures
    assert failure.startswith("trading was halted on 2012-")
    assert failure.endswith("seen 2 times in a row")


def test_dividends_are_in_the_curve_and_in_no_trade() -> None:
    on = engine(actions=[CorporateAction(DAYS[60], ActionKind.DIVIDEND, Decimal(1))])
    result = run(instance(AlwaysIn(), symbols=["AAA"]), settings=risk(require_stop=False, max_holding_days=400), on=on)
    (trade,) = result.trades
    assert on.accounts["DU1"].income == trade.quantity
    assert result.cash + trade.net + trade.quantity == on.valuation().net_liquidation
    assert not result.failures
