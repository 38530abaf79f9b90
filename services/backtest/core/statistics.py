"""The figures of a backtest, by conventions that are printed beside them (`metrics.py`).

A year has 252 sessions, the risk-free rate is 0, deviations are of a sample (n - 1). What is undefined, such as the
Sharpe ratio of an account that never moved, is None and never NaN or infinite. Drawdowns and values at risk are
positive when money is lost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from services.backtest.core.model import Curve, Result, Trade
from services.backtest.core.returns import SESSIONS_A_YEAR, Days, by_day, drawdowns, new_york_dates

STILL = 1e-12  # a deviation below this is rounding


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """The account's, from its curve. All are fractions or ratios except `sessions` and `max_drawdown_days`."""

    sessions: int
    total_return: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    omega: float | None
    max_drawdown: float | None
    max_drawdown_days: int | None
    exposure: float | None
    turnover: float | None
    alpha: float | None
    beta: float | None
    value_at_risk: float | None
    conditional_value_at_risk: float | None
    tail_ratio: float | None


@dataclass(frozen=True, slots=True)
class TradeStatistics:
    """Of some trades. Money in USD: `net` after all costs, `mid_profit` at mid prices and without commissions."""

    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    average_win: float | None
    average_loss: float | None
    average_days: float | None
    net: Decimal
    mid_profit: Decimal
    commission: Decimal

    @property
    def cost_of_fills(self) -> Decimal:
        """USD lost to spread, slippage and commissions."""
        return self.mid_profit - self.net


@dataclass(frozen=True, slots=True)
class Statistics:
    account: AccountStatistics
    trades: TradeStatistics
    by_symbol: Mapping[str, TradeStatistics]
    by_strategy: Mapping[str, TradeStatistics]
    by_reason: Mapping[str, TradeStatistics]


def statistics_of(result: Result) -> Statistics:
    return Statistics(
        account_statistics(result.curve, result.cash, result.turnover),
        trade_statistics(result.trades),
        _grouped(result.trades, lambda trade: trade.symbol),
        _grouped(result.trades, lambda trade: trade.strategy),
        _grouped(result.trades, lambda trade: trade.reason.value),
    )


def account_statistics(curve: Curve, cash: Decimal, turnover: Decimal) -> AccountStatistics:
    """`cash` is the starting capital, `turnover` what was bought and sold, both in USD.

    Daily figures use the last value of each New York date; drawdowns and exposure every point of the curve.
    """
    start = float(cash)
    days = by_day(curve, start)
    returns = days.returns[np.isfinite(days.returns)]
    if not len(returns):
        return AccountStatistics(0, *[None] * 16)
    years = len(returns) / SESSIONS_A_YEAR
    growth = float(curve.value[-1]) / start
    cagr = growth ** (1 / years) - 1 if growth > 0 else None
    year = float(np.sqrt(SESSIONS_A_YEAR))
    annualised = float(returns.mean()) * year
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    depth, length = _max_drawdown(curve, start)
    alpha, beta = _alpha_beta(days)
    low, high = (float(quantile) for quantile in np.quantile(returns, (0.05, 0.95)))
    return AccountStatistics(
        sessions=len(returns),
        total_return=growth - 1,
        cagr=_defined(cagr),
        volatility=deviation * year if len(returns) > 1 else None,
        sharpe=_ratio(annualised, deviation),
        sortino=_ratio(annualised, np.sqrt(np.mean(np.minimum(returns, 0) ** 2))),
        calmar=_ratio(cagr, depth),
        omega=_ratio(returns[returns > 0].sum(), -returns[returns < 0].sum()),
        max_drawdown=depth,
        max_drawdown_days=length,
        exposure=_defined(curve.exposure.mean()),
        turnover=_ratio(float(turnover) / years, curve.value.mean()),
        alpha=_defined(alpha),
        beta=_defined(beta),
        value_at_risk=-low,
        conditional_value_at_risk=float(-returns[returns <= low].mean()),
        tail_ratio=_ratio(abs(high), abs(low)),
    )


def trade_statistics(trades: Sequence[Trade]) -> TradeStatistics:
    """A trade wins when it leaves money after commissions; one that leaves exactly nothing neither wins nor loses."""
    wins = [trade.net for trade in trades if trade.net > 0]
    losses = [trade.net for trade in trades if trade.net < 0]
    net = sum((trade.net for trade in trades), Decimal(0))
    seconds = [(trade.closed_at - trade.opened_at).total_seconds() for trade in trades]
    return TradeStatistics(
        trades=len(trades),
        win_rate=len(wins) / len(trades) if trades else None,
        profit_factor=float(sum(wins) / -sum(losses)) if losses else None,
        expectancy=_mean([trade.net for trade in trades]),
        average_win=_mean(wins),
        average_loss=_mean(losses),
        average_days=sum(seconds) / len(seconds) / 86_400 if seconds else None,
        net=net,
        mid_profit=sum((trade.mid_profit for trade in trades), Decimal(0)),
        commission=sum((trade.commission for trade in trades), Decimal(0)),
    )


def _grouped(trades: Iterable[Trade], key: Callable[[Trade], str]) -> dict[str, TradeStatistics]:
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(key(trade), []).append(trade)
    return {name: trade_statistics(groups[name]) for name in sorted(groups)}


def _max_drawdown(curve: Curve, cash: float) -> tuple[float, int]:
    """The deepest fall as a fraction, and its New York days from the peak to the recovery or to the curve's end."""
    depths = drawdowns(curve.value, cash)
    bottom = int(np.argmax(depths))
    if depths[bottom] <= 0:
        return 0.0, 0
    # The account was at its peak when it was last at no drawdown; before its first point it had the starting cash.
    before = np.flatnonzero(depths[:bottom] <= 0)
    after = np.flatnonzero(depths[bottom:] <= 0)
    peak = before[-1] if len(before) else 0
    recovered = bottom + after[0] if len(after) else -1
    first, last = new_york_dates(curve.time[[peak, recovered]])
    return float(depths[bottom]), int((last - first) // np.timedelta64(1, "D"))


def _alpha_beta(days: Days) -> tuple[float | None, float | None]:
    """Compounded yearly alpha and beta against the benchmark, from the days that have both."""
    both = np.isfinite(days.returns) & np.isfinite(days.benchmark_returns)
    ours, theirs = days.returns[both], days.benchmark_returns[both]
    if len(ours) < 2 or theirs.std() < STILL:
        return None, None
    beta = float(np.cov(ours, theirs)[0, 1] / theirs.var(ddof=1))
    return float((1 + np.mean(ours - beta * theirs)) ** SESSIONS_A_YEAR - 1), beta


def _mean(amounts: Sequence[Decimal]) -> float | None:
    return float(sum(amounts) / len(amounts)) if amounts else None


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or below is None or below < STILL:
        return None
    return _defined(float(above) / float(below))


def _defined(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
