"""What each statistic is called, means, and looks like: for tables, objectives and help."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from services.backtest.core.statistics import Statistics
from shared.config import ConfigError


class Unit(StrEnum):
    FRACTION = "fraction"
    RATIO = "ratio"
    MONEY = "USD"
    DAYS = "days"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Metric:
    """`higher_is_better` is None where neither is."""

    label: str
    unit: Unit
    higher_is_better: bool | None
    meaning: str


METRICS = {
    "total_return": Metric("Total return", Unit.FRACTION, True, "gain over the whole time"),
    "cagr": Metric("CAGR", Unit.FRACTION, True, "compound annual growth rate, 252 sessions a year"),
    "volatility": Metric("Volatility", Unit.FRACTION, False, "sample deviation of daily returns, annualised"),
    "sharpe": Metric("Sharpe", Unit.RATIO, True, "mean daily return by its deviation, annualised, risk-free 0"),
    "sortino": Metric("Sortino", Unit.RATIO, True, "as Sharpe, by the root mean square of the losing days"),
    "calmar": Metric("Calmar", Unit.RATIO, True, "CAGR by the maximal drawdown"),
    "omega": Metric("Omega", Unit.RATIO, True, "sum of daily gains by sum of daily losses"),
    "max_drawdown": Metric("Max drawdown", Unit.FRACTION, False, "deepest fall from a peak, as a fraction of it"),
    "max_drawdown_days": Metric(
        "Drawdown length", Unit.DAYS, False, "calendar days from that peak to its recovery, or to the end"
    ),
    "exposure": Metric("Exposure", Unit.FRACTION, None, "mean gross value held, as a fraction of the account"),
    "turnover": Metric("Turnover", Unit.RATIO, None, "bought and sold a year, as a multiple of the mean account"),
    "alpha": Metric("Alpha", Unit.FRACTION, True, "yearly return that the benchmark does not explain"),
    "beta": Metric("Beta", Unit.RATIO, None, "daily return for each unit of the benchmark's"),
    "value_at_risk": Metric("VaR 95 %", Unit.FRACTION, False, "loss that one day in twenty exceeds, historical"),
    "conditional_value_at_risk": Metric("CVaR 95 %", Unit.FRACTION, False, "mean loss of those days"),
    "tail_ratio": Metric("Tail ratio", Unit.RATIO, True, "95th percentile of daily returns by the 5th, absolute"),
    "trades": Metric("Trades", Unit.COUNT, None, "positions opened and closed"),
    "win_rate": Metric("Win rate", Unit.FRACTION, True, "share of trades with a profit after commissions"),
    "profit_factor": Metric("Profit factor", Unit.RATIO, True, "sum of winning trades by sum of losing ones"),
    "expectancy": Metric("Expectancy", Unit.MONEY, True, "USD, mean net profit of a trade"),
    "average_win": Metric("Average win", Unit.MONEY, True, "USD, of trades with a profit"),
    "average_loss": Metric("Average loss", Unit.MONEY, True, "USD, of trades with a loss"),
    "average_days": Metric("Held", Unit.DAYS, None, "calendar days that a trade was open, on average"),
    "net": Metric("Net", Unit.MONEY, True, "USD, after spread, slippage and commissions"),
    "mid_profit": Metric("At mid prices", Unit.MONEY, True, "USD, the same without spread, slippage and commission"),
    "cost_of_fills": Metric("Cost of fills", Unit.MONEY, False, "USD, at mid prices less net"),
    "commission": Metric("Commissions", Unit.MONEY, False, "USD, paid to the broker"),
}


def value(statistics: Statistics, name: str) -> float | Decimal | None:
    """A statistic of the account or of all trades by its name; None where it is undefined.

    Raises:
        ConfigError: there is no such statistic.
    """
    if name not in METRICS:
        raise ConfigError(f"statistic = {name!r} is unknown; use one of {', '.join(METRICS)}")
    holder = statistics.account if hasattr(statistics.account, name) else statistics.trades
    return getattr(holder, name)


def text(name: str, number: float | Decimal | None) -> str:
    """A statistic as people read it: "12.34 %", "1.42", "-1,234.50", "9 days"; a dash where it is undefined."""
    if number is None:
        return "-"
    match METRICS[name].unit:
        case Unit.FRACTION:
            return f"{number * 100:z,.2f} %"
        case Unit.COUNT:
            return f"{number:,.0f}"
        case Unit.DAYS:
            return f"{number:z,.1f}".removesuffix(".0") + " days"
        case _:
            return f"{number:z,.2f}"
