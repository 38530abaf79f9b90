"""The SIMULATOR way of filling: the services' cores and the simulated broker in one process, on virtual time.

Time goes from one job of the scheduler to the next, as it does when the services trade in a stepped market; what the
job of a service does there, its core does here. Strategies see the trailing window that they would see live, at every
evaluation anew: an average of unlimited memory computed over all history is another number, and can be another order.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from services.backtest.core.model import Fills, Gear, Result
from services.backtest.core.replay_bars import BarStore, MinuteBars
from services.backtest.core.replay_curve import CurveRecorder, orders_sent
from services.backtest.core.replay_orders import OrderPath
from services.backtest.core.spreads import spread_intent
from services.risk.config import Settings as RiskSettings
from services.scanner.core.filters import Filters
from services.scheduler.core.schedule import Due, JobTime, job_times
from services.simulator.core.corporate import ActionKind
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.tape import Session
from services.strategy.core.bars import Bars
from services.strategy.core.confluence import Blocked, Confluence, Readings
from services.strategy.core.host import Instance, decide, intent_envelope
from services.strategy.core.vertical import NoPackage, SpreadStrategy
from shared.messages.job import Job
from shared.messages.market import Bar
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Timeframe


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What the services would read from their own settings.

    `symbols` is the trading universe, all listed in the market. `filters` is None where every symbol may be entered.
    `benchmark` is the symbol that the curve is compared with, None for equal parts of all.
    """

    symbols: tuple[str, ...]
    jobs: tuple[JobTime, ...]
    risk: RiskSettings
    confluence: Confluence
    history_bars: int
    window_bars: int
    filters: Filters | None = None
    benchmark: str | None = None


def replay(engine: Engine, instances: Sequence[Instance], settings: ReplaySettings, readings: Readings) -> Result:
    """Trade every session of the engine's market, which must be at its beginning. The assumptions are left empty."""
    run = _Replay(engine, instances, settings, readings)
    run.start()
    market = engine.market
    before = next((each for each in reversed(market.all_sessions) if each.close < engine.now), market.sessions[0])
    for session in engine.market.sessions:
        run.trade(session, before.close)
        before = session
    return run.end()


class _Replay:
    def __init__(
        self, engine: Engine, instances: Sequence[Instance], settings: ReplaySettings, readings: Readings
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._readings = readings
        self._cash = engine.valuation().cash
        self._path = OrderPath(engine, settings.risk, settings.symbols)
        instruments = [self._path.desk.instrument(symbol) for symbol in settings.symbols]
        compared = [self._path.desk.instrument(settings.benchmark)] if settings.benchmark else instruments
        self._curve = CurveRecorder(engine, compared)
        scanned = settings.filters.sessions if settings.filters else 0
        self._bars = BarStore(engine.market, instruments, settings.history_bars, max(settings.window_bars, scanned))
        self._by_day = [one for one in instances if one.timeframe is Timeframe.DAY]
        self._by_minute = [one for one in instances if one.timeframe is Timeframe.MINUTE]
        followed = sorted({symbol for instance in self._by_minute for symbol in instance.symbols})
        self._minutes = MinuteBars(followed, settings.window_bars)
        self._kept: set[str] = set() if settings.filters else set(settings.symbols)
        self._failures: Counter[str] = Counter()
        self._splits = deque(_splits(engine.market, instruments))

    # Time

    def start(self) -> None:
        """The services have come up: history is fetched, the books are compared with the account."""
        self._bars.fetch(self._engine.now)
        self._path.reconcile()

    def trade(self, session: Session, previous_close: datetime) -> None:
        """Go through the jobs of a session, to its close."""
        hours = session.open, session.close
        self._path.advance(session.open)
        self._path.begin_day(previous_close)
        while self._splits and self._splits[0][0] <= session.day:
            _, symbol, ratio = self._splits.popleft()
            self._path.ledger.split(symbol, ratio)
        self._hear()
        for due in job_times(session.day, self._settings.jobs, lambda _: hours):
            if due.at <= self._engine.market.last_close:
                self._advance(due.at, session)
                self._run(due, previous_close)
        self._advance(session.close, session)
        self._curve.record(session.close)
        self._path.finish_trades()

    def _advance(self, to: datetime, session: Session) -> None:
        """Let the market move, in a session; tick by tick where an instance looks at minutes."""
        step = self._engine.market.tick
        while self._by_minute and self._engine.now < min(to, session.close):
            passed = (self._engine.now - session.open) // step
            self._path.advance(min(session.open + (passed + 1) * step, session.close, to))
            self._hear()
        self._path.advance(to)

    def _hear(self) -> None:
        """Ask the instances that look at minutes about those that the present quotes close."""
        for bar, bars in self._minutes.hear(self._path.quotes):
            for instance in self._by_minute:
                if bar.symbol in instance.symbols:
                    self._ask(instance, bar, bars, bar.end)
        self._path.settle()

    def end(self) -> Result:
        """Value what is still held at the last prices."""
        self._path.value_the_rest()
        failures = [f"{text} ({count} times)" if count > 1 else text for text, count in self._failures.items()]
        return Result(
            gear=Gear.EXACT,
            fills=Fills.SIMULATOR,
            cash=self._cash,
            trades=tuple(self._path.ledger.trades),
            orders=orders_sent(self._engine.received),
            curve=self._curve.curve(),
            assumptions=(),
            turnover=self._path.ledger.turnover,
            refusals=dict(self._path.refusals),
            failures=(*failures, *self._path.disarmed),
        )

    # Jobs

    def _run(self, due: Due, previous_close: datetime) -> None:
        match due.job:
            case Job.SYNC_POSITIONS:
                self._path.reconcile()
            case Job.SCAN:
                self._scan()
            case Job.EVALUATE_STRATEGIES:
                self._evaluate(due.at, previous_close)
            case Job.CHECK_EXITS:
                self._path.check_exits()
            case Job.FETCH_BARS:
                self._bars.fetch(due.at)

    def _scan(self) -> None:
        filters = self._settings.filters
        if filters is not None:
            closes = {symbol: self._bars.closes(symbol, filters.sessions) for symbol in self._settings.symbols}
            self._kept = {symbol for symbol, known in closes.items() if filters.judge(symbol, known).kept}

    def _evaluate(self, at: datetime, previous_close: datetime) -> None:
        """Daily strategies on bars through the session before; a symbol without that bar is passed over, as live."""
        for instance in self._by_day:
            for symbol in instance.symbols:
                window = self._bars.window(symbol, self._settings.window_bars, previous_close)
                if window is not None:
                    self._ask(instance, *window, at)
        self._path.settle()

    def _ask(self, instance: Instance, bar: Bar, bars: Bars, at: datetime) -> None:
        """What an instance wants after `bar`, the newest of `bars`."""
        try:
            found = decide(
                instance,
                bar,
                bars,
                may_enter=bar.symbol in self._kept,
                confluence=self._settings.confluence,
                readings=self._readings,
                at=at,
                job_run_id=None,
            )
        except Exception as error:  # noqa: BLE001 - a strategy is its author's code: whatever it raises, others go on
            self._failures[f"{instance.name} failed on {bar.symbol}: {type(error).__name__}: {error}"] += 1
            return
        if isinstance(found, Blocked):
            self._path.refusals[found.code] += 1
        elif found is not None and found.purpose is Purpose.ENTER and isinstance(instance.strategy, SpreadStrategy):
            self._enter_spread(found, instance.strategy, at)
        elif found is not None:
            self._path.intend(intent_envelope(found, at))

    def _enter_spread(self, entry: OrderIntent, strategy: SpreadStrategy, at: datetime) -> None:
        found = spread_intent(self._path.desk, entry, strategy)
        if isinstance(found, NoPackage):
            self._path.refusals[found.code] += 1
        else:
            self._path.intend(intent_envelope(found, at))


def _splits(market: Market, instruments: Sequence[Instrument]) -> list[tuple[date, str, Decimal]]:
    """Every split while there is trading, oldest first: ex-date, symbol, new shares for an old one."""
    first = market.sessions[0].day
    return sorted(
        (action.day, instrument.symbol, action.value)
        for instrument in instruments
        for action in market.actions(instrument.contract_id)
        if action.kind is ActionKind.SPLIT and action.day > first
    )
