from decimal import Decimal

import pytest
from ib_async.contract import Contract
from ib_async.objects import Execution
from ib_async.order import OrderState
from ib_async.util import UNSET_DOUBLE

from services.gateway.adapters.tws import convert, reports
from services.gateway.ports import RequestRefused
from shared.types import Side


def test_floats_become_the_decimals_that_were_written() -> None:
    assert [str(convert.decimal(value)) for value in (0.1, 100.0, 189.35)] == ["0.1", "100", "189.35"]
    assert [convert.decimal_or_none(value) for value in (UNSET_DOUBLE, float("nan"), None)] == [None] * 3
    assert [convert.price_or_none(value) for value in (-1.0, 0.0, UNSET_DOUBLE, None)] == [None] * 4
    assert [str(convert.written(Decimal(text))) for text in ("1E+2", "1E-6", "10.50")] == ["100", "0.000001", "10.50"]


def test_fills_of_options_and_combinations() -> None:
    told = Execution(execId="1.1.01.01", side="SLD", shares=2.0, price=1.05, orderRef="a", permId=900)
    option = Contract(
        secType="OPT", symbol="AAPL", localSymbol="AAPL  261218C00200000", multiplier="100", currency="USD"
    )
    leg = reports.execution(option, told)
    assert (leg.symbol, leg.multiplier, leg.combination) == ("AAPL  261218C00200000", 100, False)
    assert (leg.side, leg.quantity, leg.price) == (Side.SELL, 2, Decimal("1.05"))
    whole = reports.execution(Contract(secType="BAG", symbol="AAPL"), told)
    assert (whole.symbol, whole.multiplier, whole.combination) == ("AAPL", 1, True)


def figures(**changes: str) -> OrderState:
    names = ("initMarginAfter", "initMarginChange", "maintMarginAfter", "maintMarginChange", "equityWithLoanAfter")
    return OrderState(**{**dict.fromkeys(names, "100.5"), **changes}, commission=1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("unset", ["1.7976931348623157E308", "1.7976931348623157e+308", "", "N/A", "inf", "nan"])
def test_a_preview_with_an_unset_figure_is_refused(unset: str) -> None:
    assert reports.preview("a", figures()).initial_margin_change == Decimal("100.5")
    with pytest.raises(RequestRefused, match="the broker left initial_margin_change unset"):
        reports.preview("a", figures(initMarginChange=unset))


def test_the_commission_of_a_preview_is_the_highest_where_there_is_a_range() -> None:
    state = figures()
    state.commission, state.minCommission, state.maxCommission = UNSET_DOUBLE, 1.0, 2.0
    assert reports.preview("a", state).commission == 2
    state.maxCommission = UNSET_DOUBLE
    assert reports.preview("a", state).commission is None
