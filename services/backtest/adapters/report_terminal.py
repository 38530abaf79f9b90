"""Results in the terminal."""

from collections import defaultdict
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from services.backtest.adapters.store import Summary
from services.backtest.core.metrics import METRICS, text
from services.backtest.core.stored import Stored, comparison
from services.backtest.core.tables import ACCOUNT, TRADES, Table, figures, group_tables, notices

LISTED = ("sharpe", "trades", "net")


def print_summary(console: Console, stored: Stored) -> None:
    """Figures, tables and assumptions of one result."""
    config, result = stored.config, stored.result
    names = ", ".join(instance.name for instance in config.strategies)
    console.print(f"[bold]{escape(names)}[/bold] on {escape(_shortened(config.symbols))}")
    console.print(
        f"{config.first} to {config.last}, {config.cash:,} USD, gear {result.gear}, fills {result.fills},"
        f" result {stored.id}"
    )
    for notice in notices(result):
        console.print(f"[yellow]{escape(notice)}[/yellow]")
    console.print(
        Columns(
            [
                _rich(figures("Account", stored.statistics, ACCOUNT[:9])),
                _rich(figures("Risk", stored.statistics, ACCOUNT[9:])),
                _rich(figures("Trades", stored.statistics, TRADES)),
            ],
            padding=(0, 4),
        ),
        "",
    )
    for table in group_tables(stored.statistics):
        console.print(_rich(table))
        console.print()
    console.print("[bold]Assumptions[/bold]")
    assumptions = RichTable.grid(padding=(0, 1))
    for assumption in result.assumptions:
        assumptions.add_row("-", escape(assumption))
    console.print(assumptions)
    hashes = {"data": stored.data_hash, "code": stored.code_hash, "result": stored.result_hash}
    console.print("hashes: " + ", ".join(f"{name} {digest[:12]}" for name, digest in hashes.items()), style="dim")


def print_comparison(console: Console, one: Stored, other: Stored) -> None:
    """Two results side by side: inputs that differ, statistics, trades that only one of them has."""
    for table in comparison(one, other):
        if table.rows:
            console.print(_rich(table))
        else:
            console.print(f"[bold]{escape(table.title)}[/bold]\nnone")
        console.print()


def print_results(console: Console, summaries: Sequence[Summary]) -> None:
    """A list of results. The last column tells whether all with the same inputs came out the same."""
    outcomes: dict[str, list[str]] = defaultdict(list)
    for summary in summaries:
        outcomes[summary.inputs_hash].append(summary.result_hash)
    rows = tuple(_listed(summary, outcomes[summary.inputs_hash]) for summary in summaries)
    columns = ("id", "saved", "what", *(METRICS[name].label for name in LISTED), "again")
    console.print(_rich(Table("Results", columns, rows, text=3)))


def _listed(summary: Summary, outcomes: Sequence[str]) -> tuple[str, ...]:
    config = summary.config
    again = "" if len(outcomes) == 1 else "same" if len(set(outcomes)) == 1 else "DIFFERS"
    return (
        summary.id,
        f"{summary.saved_at:%Y-%m-%d %H:%M}",
        f"{', '.join(instance.name for instance in config.strategies)} on {_shortened(config.symbols)},"
        f" {config.first} to {config.last}",
        *(text(name, summary.statistics.get(name)) for name in LISTED),
        again,
    )


def _shortened(symbols: Sequence[str]) -> str:
    return ", ".join(symbols) if len(symbols) <= 6 else f"{', '.join(symbols[:5])} and {len(symbols) - 5} more"


def _rich(table: Table) -> RichTable:
    """Narrow enough for 80 columns; where texts are long, they fold, and numbers do not."""
    shown = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    shown.show_header = any(table.columns)
    for number, column in enumerate(table.columns):
        is_text = number < table.text
        if is_text:
            shown.add_column(escape(column), overflow="fold")
        else:
            shown.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(escape(cell) for cell in row))
    return shown
