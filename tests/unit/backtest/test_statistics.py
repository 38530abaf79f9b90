"""The figures of a backtest: equal to what another library computes, and right where they have no value."""

import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from services.backtest.core.metrics import METRICS, text, value
from services.backtest.core.model import Curve, ExitReason, Result, Trade
from services.backtest.core.returns import by_day, daily_returns, drawdowns, monthly_returns, rolling_sharpe
from services.backtest.core.statistics import AccountStatistics, account_statistics, statistics_of, trade_statistics
from shared.config import ConfigError
from shared.types import Side
from tests.unit.backtest.sample import CASH, make_histories, make_result

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical


@pytest.fixture(scope="module")
def result() -> Result:
    return make_result(make_histories())


@pytest.fixture(scope="module")
def account(result: Result) -> AccountStatistics:
    return statistics_of(result).account


def returns_of(result: Result) -> tuple[pd.Series, pd.Series]:
    """The account's and the benchmark's daily returns, by pandas and not by the code under test."""
    index = pd.DatetimeIndex(result.curve.time).tz_localize("UTC").tz_convert("America/New_York").normalize()
    frame = pd.DataFrame({"ours": result.curve.value, "theirs": result.curve.benchmark}, index=index)
    before = frame.shift(1).fillna(float(result.cash))
    changes = frame / before - 1
    return changes["ours"], changes["theirs"]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("total_return", lambda ours, _: empyrical.cum_returns_final(ours)),
        ("cagr", lambda ours, _: empyrical.cagr(ours)),
        ("volatility", lambda ours, _: empyrical.annual_volatility(ours)),
        ("sharpe", lambda ours, _: empyrical.sharpe_ratio(ours)),
        ("sortino", lambda ours, _: empyrical.sortino_ratio(ours)),
        ("calmar", lambda ours, _: empyrical.calmar_ratio(ours)),
        ("omega", lambda ours, _: empyrical.omega_ratio(ours)),
        ("max_drawdown", lambda ours, _: -empyrical.max_drawdown(ours)),
        ("alpha", lambda ours, theirs: empyrical.alpha(ours, theirs)),
        ("beta", lambda ours, theirs: empyrical.beta(ours, theirs)),
        ("value_at_risk", lambda ours, _: -empyrical.value_at_risk(ours)),
        ("conditional_value_at_risk", lambda ours, _: -empyrical.conditional_value_at_risk(ours)),
        ("tail_ratio", lambda ours, _: empyrical.tail_ratio(ours)),
    ],
)
def test_equals_empyrical(
    result: Result, account: AccountStatistics, name: str, theirs: Callable[[pd.Series, pd.Series], float]
) -> None:
    assert getattr(account, name) == pytest.approx(theirs(*returns_of(result)), rel=1e-9)


def test_rolling_and_monthly_equal_empyrical(result: Result) -> None:
    ours, _ = returns_of(result)
    days = by_day(result.curve, float(CASH))
    expected = [empyrical.sharpe_ratio(ours.iloc[end - 60 : end]) for end in range(60, len(ours) + 1)]
    rolling = rolling_sharpe(days.returns, 60)
    assert np.isnan(rolling[:59]).all()
    np.testing.assert_allclose(rolling[59:], expected, rtol=1e-9)
    monthly = empyrical.aggregate_returns(ours, "monthly")
    assert {(y, m): r for y, row in monthly_returns(days).items() for m, r in row.items()} == pytest.approx(
        monthly.to_dict(), rel=1e-9
    )


def curve(values: list[float], first: str = "2024-01-02T21:00", hours: int = 24) -> Curve:
    time = np.datetime64(first, "us") + np.arange(len(values)) * np.timedelta64(hours, "h")
    none = np.full(len(values), np.nan)
    return Curve(time, np.array(values), np.full(len(values), 0.5), none)


def test_a_day_is_new_yorks_and_its_last_value_counts() -> None:
    # 03:00 UTC is 22:00 of the evening before in New York, in winter; 04:30 UTC is 00:30 in summer.
    winter = curve([101, 102, 104], "2024-01-03T01:00", hours=2)
    assert by_day(winter, 100).date.tolist() == [date(2024, 1, 2), date(2024, 1, 3)]
    assert daily_returns(winter, 100) == pytest.approx([0.02, 104 / 102 - 1])
    assert by_day(curve([101], "2024-07-03T04:30"), 100).date.tolist() == [date(2024, 7, 3)]


@pytest.mark.parametrize(
    ("values", "depth", "days"),
    [
        ([100, 110, 99, 104, 110, 120], 0.1, 3),  # from the peak at 110 to the recovery
        ([100, 110, 105, 110, 88, 90], 0.2, 2),  # not recovered: to the end, from the later 110
        ([90, 95, 101], 0.1, 2),  # below the starting cash from the first point on
        ([101, 102, 103], 0, 0),
    ],
)
def test_drawdown_and_its_length(values: list[float], depth: float, days: int) -> None:
    found = account_statistics(curve(values), Decimal(100), Decimal(0))
    assert found.max_drawdown == pytest.approx(depth)
    assert found.max_drawdown_days == days


def test_the_length_of_a_drawdown_counts_dates_though_sessions_end_at_other_hours() -> None:
    summer_time_came = ["2012-03-09T21:00", "2012-03-20T20:00", "2012-03-23T20:00"]
    half_day = ["2012-11-16T21:00", "2012-11-20T21:00", "2012-11-23T18:00"]
    for times, days in ((summer_time_came, 14), (half_day, 7)):
        time = np.array(times, dtype="datetime64[us]")
        found = Curve(time, np.array([110.0, 100, 110]), np.full(3, 0.5), np.full(3, np.nan))
        assert account_statistics(found, Decimal(100), Decimal(0)).max_drawdown_days == days


def test_drawdown_sees_every_point_of_a_day() -> None:
    intraday = curve([100, 80, 100, 101], "2024-01-02T15:00", hours=1)
    assert drawdowns(intraday.value, 100) == pytest.approx([0, 0.2, 0, 0])
    assert account_statistics(intraday, Decimal(100), Decimal(0)).max_drawdown == pytest.approx(0.2)


@pytest.mark.parametrize("values", [[], [100], [100] * 5, [100, 0, 0], [101, 102.01], [50, -20, -30]])
def test_what_is_undefined_is_none_and_never_a_number_that_is_none(values: list[float]) -> None:
    found = asdict(account_statistics(curve(values), Decimal(100), Decimal(0)))
    assert all(number is None or np.isfinite(number) for number in found.values()), found
    assert found["alpha"] is None
    assert found["sharpe"] is None or values in ([100, 0, 0], [50, -20, -30])


def test_turnover_is_a_year_of_the_mean_account() -> None:
    half_a_year = curve([200.0] * 126)
    assert account_statistics(half_a_year, Decimal(200), Decimal(1000)).turnover == pytest.approx(10)


def trade(net: str, *, commission: str = "2", reason: ExitReason = ExitReason.SIGNAL, symbol: str = "IBM") -> Trade:
    day = datetime(2024, 1, 2, 15, tzinfo=UTC)
    profit = Decimal(net) + Decimal(commission)
    return Trade(
        order_id="x", strategy="cross", symbol=symbol, side=Side.BUY, quantity=Decimal(10), opened_at=day,
        entry_price=Decimal(100), closed_at=day.replace(day=5), exit_price=Decimal(101), profit=profit,
        commission=Decimal(commission), mid_profit=profit + 3, reason=reason,
    )  # fmt: skip


def test_trades_are_judged_after_commissions() -> None:
    found = trade_statistics([trade("30"), trade("-10"), trade("0"), trade("-5")])
    assert (found.trades, found.win_rate, found.profit_factor) == (4, 0.25, 2.0)
    assert (found.expectancy, found.average_win, found.average_loss) == (3.75, 30, -7.5)
    assert (found.net, found.commission, found.mid_profit) == (Decimal(15), Decimal(8), Decimal(35))
    assert found.cost_of_fills == Decimal(20)  # 3 USD a trade of spread, and the commissions
    assert found.average_days == 3


def test_trades_without_a_loss_and_no_trades() -> None:
    assert trade_statistics([trade("30")]).profit_factor is None
    nothing = trade_statistics([])
    assert (nothing.trades, nothing.win_rate, nothing.expectancy, nothing.net) == (0, None, None, Decimal(0))


def test_groups_hold_every_trade_once(result: Result) -> None:
    found = statistics_of(result)
    for groups in (found.by_symbol, found.by_strategy, found.by_reason):
        assert sum(group.trades for group in groups.values()) == len(result.trades)
        assert sum(group.net for group in groups.values()) == found.trades.net
    assert list(found.by_symbol) == ["AAPL", "GOOG", "IBM", "MSFT"]
    stops = [each for each in result.trades if each.reason is ExitReason.STOP]
    assert found.by_reason["stop"].net == sum(each.net for each in stops)


def test_every_statistic_has_a_name_and_a_text(result: Result) -> None:
    found = statistics_of(result)
    fields = asdict(found.account) | asdict(found.trades)
    assert set(fields) - {"sessions"} == set(METRICS) - {"cost_of_fills"}
    assert value(found, "sharpe") == found.account.sharpe
    assert value(found, "cost_of_fills") == found.trades.mid_profit - found.trades.net
    assert text("max_drawdown", 0.1234) == "12.34 %"
    assert text("net", Decimal("-1234.5")) == "-1,234.50"
    assert text("sharpe", None) == "-"
    with pytest.raises(ConfigError, match="statistic = 'sharp' is unknown; use one of total_return, cagr"):
        value(found, "sharp")


def test_the_account_is_not_fooled_by_a_benchmark_that_starts_late(result: Result) -> None:
    late = result.curve.benchmark.copy()
    late[:100] = np.nan
    ours, theirs = returns_of(result)
    found = account_statistics(replace(result.curve, benchmark=late), CASH, Decimal(0))
    assert found.beta == pytest.approx(empyrical.beta(ours[101:], theirs[101:]), rel=1e-9)
