"""A result as tables of text, the same ones in the terminal and in the HTML report."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.backtest.core.metrics import METRICS, text, value
from services.backtest.core.model import Result
from services.backtest.core.statistics import Statistics, TradeStatistics

ACCOUNT = (
    "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "omega", "max_drawdown", "max_drawdown_days",
    "value_at_risk", "conditional_value_at_risk", "tail_ratio", "alpha", "beta", "exposure", "turnover",
)  # fmt: skip
TRADES = (
    "trades", "win_rate", "profit_factor", "expectancy", "average_win", "average_loss", "average_days", "mid_profit",
    "cost_of_fills", "commission", "net",
)  # fmt: skip
GROUP = ("trades", "net", "mid_profit", "cost_of_fills", "win_rate", "profit_factor", "average_days")
NO_POSITION = "no_position"  # an exit signal found nothing to close, which is no news


@dataclass(frozen=True, slots=True)
class Table:
    """So many first columns are `text`; the others are numbers, to be aligned right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1


def figures(title: str, statistics: Statistics, names: tuple[str, ...]) -> Table:
    """Statistics of the account or of all trades, one a row."""
    return Table(title, ("", ""), tuple((METRICS[name].label, text(name, value(statistics, name))) for name in names))


def group_tables(statistics: Statistics) -> tuple[Table, ...]:
    """Trades per symbol (the last row: all), per strategy and per exit reason; no table where there are none."""
    if not statistics.trades.trades:
        return ()
    return (
        _groups("Per symbol", dict(statistics.by_symbol) | {"all": statistics.trades}),
        _groups("Per strategy", statistics.by_strategy),
        _groups("Per exit reason", statistics.by_reason),
    )


def notices(result: Result) -> tuple[str, ...]:
    """What a reader must know before the figures: strategies that failed, entries refused, no trades at all."""
    failed = tuple(f"FAILED and left out from then on: {failure}" for failure in result.failures)
    entries = sorted((code, count) for code, count in result.refusals.items() if code != NO_POSITION)
    counts = ", ".join(f"{code} {count:,}" for code, count in entries)
    refused = (f"Entries that were refused: {counts}",) if counts else ()
    return failed + refused + (() if result.trades else ("No trades were made.",))


def _groups(title: str, groups: Mapping[str, TradeStatistics]) -> Table:
    rows = tuple((name, *(text(metric, getattr(group, metric)) for metric in GROUP)) for name, group in groups.items())
    return Table(f"{title}, USD", (title.removeprefix("Per "), *(METRICS[metric].label for metric in GROUP)), rows)
