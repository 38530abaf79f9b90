"""Reports of one result: what the terminal and the HTML file say, and that the file needs nothing else."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as plotly
import pytest
from rich.console import Console

from services.backtest.adapters.report_candles import candles
from services.backtest.adapters.report_figures import equity, mid_versus_filled, trade_sizes
from services.backtest.adapters.report_html import write_html
from services.backtest.adapters.report_terminal import print_comparison, print_summary
from services.backtest.core.honesty import Honesty, judge_sharpe
from services.backtest.core.model import Curve, History, Result
from services.backtest.core.monte_carlo import shuffle_trades
from services.backtest.core.returns import daily_returns
from services.backtest.core.sensitivity import Sensitivity
from services.backtest.core.stored import Stored
from services.backtest.core.walk_forward import FoldResult, WalkForward, make_folds
from shared.types import Timeframe
from tests.unit.backtest.sample import CASH, make_config, make_histories, make_result


@pytest.fixture(scope="module")
def histories() -> list[History]:
    return make_histories()


@pytest.fixture(scope="module")
def result(histories: list[History]) -> Result:
    return make_result(histories)


def stored(result: Result, name: str = "one", **changes: Any) -> Stored:
    return Stored(name, datetime(2024, 1, 2, tzinfo=UTC), make_config(**changes), "d" * 64, "c" * 64, result)


def printed(show: Any, *shown: Stored) -> str:
    console = Console(width=140, file=StringIO())
    show(console, *shown)
    return console.file.getvalue()


class Page(HTMLParser):
    """What a browser would see: text, addresses, scripts and their content."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self._inside = ""
        self.feed(path.read_text())
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "link":
            self.addresses.append("link")

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.words.append(data)

    def handle_endtag(self, _: str) -> None:
        self._inside = ""

    @property
    def figures(self) -> dict[str, Any]:
        """The figures by name, as the page's last script holds them."""
        lines = re.findall(r'^\s*"(\w+)": (\{.*\}),$', self.scripts[-1], re.MULTILINE)
        return {name: json.loads(figure) for name, figure in lines}


def make_honesty(result: Result) -> Honesty:
    returns = daily_returns(result.curve, float(CASH))
    folds = make_folds(date(2010, 1, 4), date(2012, 12, 31), folds=3, train_share=0.6, anchored=False)
    walked = tuple(FoldResult(fold, {"fast": 12}, 1.5, 0.75) for fold in folds)
    grid = np.array([[0.5, 0.6, np.nan], [0.7, 1.06, 0.9]])
    return replace(
        judge_sharpe(returns, tried=[0.1, 0.5, 1.06]),
        monte_carlo=shuffle_trades(result.trades, float(CASH), runs=200, seed=1),
        walk_forward=WalkForward("sharpe", False, walked, result.curve),
        sensitivity=(Sensitivity("sharpe", True, "fast", "slow", (5, 10, 15), (30, 40), grid, (10, 40)),),
    )


def test_terminal_summary_tells_figures_assumptions_and_failures(result: Result) -> None:
    shown = printed(print_summary, stored(replace(result, failures=("cross slow: ZeroDivisionError [x]",))))
    figures = stored(result).statistics
    assert f"{figures.account.sharpe:.2f}" in re.search(r"Sharpe\s+(\S+)", shown)[1]
    assert f"{figures.trades.mid_profit:,.2f}" in re.search(r"At mid prices\s+(\S+)", shown)[1]
    assert all(assumption in shown for assumption in result.assumptions)
    assert "FAILED and left out from then on: cross slow: ZeroDivisionError [x]" in shown
    assert "max_positions 12" in shown
    for name in ("IBM", "cross slow", "target"):
        assert re.search(rf"^{name}\s+\d+\s", shown, re.MULTILINE), name


def test_comparison_tells_what_differs_and_no_more(result: Result) -> None:
    gone, *kept = result.trades
    other = stored(replace(result, trades=tuple(kept)), "two", cash=500_000)
    shown = printed(print_comparison, stored(result), other)
    inputs = shown[: shown.index("Statistics")]
    assert re.findall(r"^(\S+) +1000000 +500000", inputs, re.MULTILINE) == ["cash"]
    assert "spread" not in inputs
    assert re.search(r"Trades +104 +103 +-1\b", shown)
    assert "Trades only in one: 1 of 104" in shown
    assert f"{gone.net:,.2f}" in shown[shown.index("Trades only in one") :]
    assert shown.rstrip().endswith("Trades only in two: 0 of 103\nnone")


def test_a_trade_with_another_exit_is_another_trade(result: Result) -> None:
    first, *rest = result.trades
    moved = replace(first, exit_price=first.exit_price + 1)
    shown = printed(print_comparison, stored(result), stored(replace(result, trades=(moved, *rest)), "two"))
    assert "Trades only in one: 1 of 104" in shown
    assert "Trades only in two: 1 of 104" in shown


def test_html_is_one_file_that_asks_for_nothing(tmp_path: Path, result: Result, histories: list[History]) -> None:
    path = tmp_path / "report.html"
    write_html(path, stored(result), histories, make_honesty(result))
    page = Page(path)
    assert page.addresses == []
    assert len(page.scripts) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert "url(" not in path.read_text().split("</style>")[0]


def test_every_picture_is_one_that_plotly_accepts(tmp_path: Path, result: Result, histories: list[History]) -> None:
    path = tmp_path / "report.html"
    write_html(path, stored(result), histories, make_honesty(result))
    figures = Page(path).figures
    assert set(figures) == {
        "equity", "rolling", "trade_sizes", "mid_versus_filled", "monte_carlo", "walk_forward", "sensitivity_0",
        "candles_0", "candles_1", "candles_2", "candles_3",
    }  # fmt: skip
    places = set(re.findall(r'data-figure="(\w+)"', path.read_text()))
    assert places == set(figures)
    for figure in figures.values():
        plotly.Figure(figure)  # raises ValueError for a property that does not exist


def test_html_tells_what_the_tables_tell(tmp_path: Path, result: Result, histories: list[History]) -> None:
    path = tmp_path / "report.html"
    given = stored(result)
    write_html(path, given, histories)
    text = Page(path).text
    figures = given.statistics
    for shown in (f"CAGR {figures.account.cagr:.2%}", f"Net {figures.trades.net:,.2f}", f"Trades {len(result.trades)}"):
        assert shown.replace("%", " %") in text
    assert all(assumption in text for assumption in result.assumptions)
    assert given.result_hash in text
    assert given.data_hash in text
    assert "Can it be believed?" not in text


def test_html_tells_what_is_known_about_chance(tmp_path: Path, result: Result) -> None:
    path = tmp_path / "report.html"
    honesty = make_honesty(result)
    write_html(path, stored(result), [], honesty)
    text = Page(path).text
    assert honesty.words[0] in text
    assert honesty.walk_forward.words() in text
    assert f"Deflated Sharpe {honesty.deflated_sharpe * 100:.1f} %" in text
    assert "fast = 12 1.50 0.75" in text
    assert "entries and exits" not in text


def test_what_others_named_is_text_and_no_markup(tmp_path: Path, result: Result) -> None:
    path = tmp_path / "report.html"
    evil = "</script><script src='x'>"
    trades = tuple(replace(trade, symbol=evil, strategy=evil) for trade in result.trades)
    bars = replace(make_histories()[0], symbol=evil)
    write_html(path, stored(replace(result, trades=trades, failures=(evil,)), symbols=[evil]), [bars])
    page = Page(path)
    assert len(page.scripts) == 2
    assert page.addresses == []
    assert page.figures["candles_0"]["data"][0]["name"] == evil


@pytest.mark.parametrize("points", [0, 1, 40, 200])
def test_a_result_without_trades_or_with_few_days_has_a_report(tmp_path: Path, result: Result, points: int) -> None:
    whole = result.curve
    curve = Curve(whole.time[:points], whole.value[:points], whole.exposure[:points], np.full(points, np.nan))
    empty = stored(replace(result, curve=curve, trades=(), orders=()))
    path = tmp_path / "report.html"
    write_html(path, empty, make_histories())
    assert "No trades were made." in Page(path).text
    assert "No trades were made." in printed(print_summary, empty)
    assert ("equity" in Page(path).figures) == (points > 0)


def test_pictures_hold_the_results_numbers(result: Result) -> None:
    account, benchmark, drawdown, invested = equity(result.curve, float(CASH))["data"]
    np.testing.assert_allclose(account["y"], result.curve.value)
    np.testing.assert_allclose(benchmark["y"], result.curve.benchmark)
    assert min(drawdown["y"]) == pytest.approx(-100 * stored(result).statistics.account.max_drawdown, abs=1e-3)
    assert np.mean(invested["y"]) == pytest.approx(100 * result.curve.exposure.mean())
    won, lost = trade_sizes(result.trades)["data"]
    assert len(won["x"]) + len(lost["x"]) == len(result.trades)
    assert min(won["x"]) > 0 >= max(lost["x"])
    assert won["xbins"] == lost["xbins"]
    left_of_zero = -won["xbins"]["start"] / won["xbins"]["size"]
    assert left_of_zero == pytest.approx(round(left_of_zero))
    mid, net = mid_versus_filled(result.trades)["data"]
    assert mid["y"][-1] == pytest.approx(float(sum(trade.mid_profit for trade in result.trades)))
    assert net["y"][-1] == pytest.approx(float(sum(trade.net for trade in result.trades)))


def test_candles_show_each_trade_in_its_bar(result: Result, histories: list[History]) -> None:
    history = histories[0]
    trades = [trade for trade in result.trades if trade.symbol == history.symbol]
    bars, won, lost, entries = candles(history, trades)["data"]
    np.testing.assert_allclose(bars["close"], history.bars.close, atol=1e-4)
    begin = dict(zip(bars["x"], history.start.tolist(), strict=True))
    assert [begin[label] for label in entries["x"]] == [trade.opened_at.replace(tzinfo=None) for trade in trades]
    exits = won["x"][1::3] + lost["x"][1::3]
    closed = [trade.closed_at.replace(tzinfo=None) for trade in trades]
    assert sorted(begin[label] for label in exits) == sorted(closed)
    assert len(won["x"]) == 3 * sum(trade.net > 0 for trade in trades)


def test_the_net_price_of_a_combination_does_not_stretch_the_picture(result: Result, histories: list[History]) -> None:
    trade = replace(result.trades[0], entry_price=Decimal("1.35"), exit_price=Decimal("0.40"))
    history = next(history for history in histories if history.symbol == trade.symbol)
    bars, won, lost, entries = candles(history, [trade])["data"]
    place = bars["x"].index(entries["x"][0])
    assert entries["y"] == [pytest.approx(bars["low"][place], abs=1e-4)]
    assert min([*won["y"], *lost["y"]][:2]) >= min(bars["low"]) - 1e-4
    assert " at 1.35" in entries["text"][0]


def test_many_bars_become_fewer_candles_that_keep_the_extremes() -> None:
    history = replace(make_histories()[0], timeframe=Timeframe.MINUTE)
    times = history.bars.end[0] + np.arange(2001) * np.timedelta64(1, "m")
    prices = 100 + np.sin(np.arange(2001) / 50)
    bars = type(history.bars)(times, prices, prices + 0.1, prices - 0.1, prices, prices)
    shown = candles(History("IBM", history.timeframe, times, bars), [])["data"][0]
    assert len(shown["x"]) == 667  # 3 a candle
    assert shown["name"] == "3 bars a candle"
    assert (shown["open"][0], shown["close"][-1]) == pytest.approx((prices[0], prices[-1]), abs=1e-3)
    assert (max(shown["high"]), min(shown["low"])) == pytest.approx((prices.max() + 0.1, prices.min() - 0.1), abs=1e-3)
