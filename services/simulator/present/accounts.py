"""Positions, account values and profits as TWS API messages: pure functions from a valuation to values.

Account values bear the names of TWS's account summary tags. Securities and commodities are not shown as segments of
their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from services.simulator.core.account import CENT, ZERO, Position
from services.simulator.core.instruments import Instrument
from services.simulator.core.valuation import PositionValue, Valuation
from services.simulator.present.contracts import contract
from services.simulator.wire.layout import UNSET_DOUBLE, Values

LEDGER_TAG = "$LEDGER"
_AVERAGE_PLACES = Decimal("0.00000001")
_RATIO_PLACES = Decimal("0.000001")
_RATE_PLACES = Decimal("0.0000001")
_BASE = "BASE"
_ALWAYS_ZERO = (
    "AccruedDividend",
    "Billable",
    "Guarantee",
    "IndianStockHaircut",
    "NetLiquidationUncertainty",
    "PASharesValue",
    "PostExpirationExcess",
    "PostExpirationMargin",
    "TotalDebitCardPendingCharges",
)
"""Values of kinds that the simulated accounts do not have; a real gateway sends them all the same."""
_ZERO_PER_CURRENCY = (
    "FutureOptionValue",
    "FundValue",
    "NetDividend",
    "MutualFundValue",
    "MoneyMarketFundValue",
    "CorporateBondValue",
    "TBondValue",
    "TBillValue",
    "WarrantValue",
    "FxCashBalance",
    "IssuerOptionValue",
    "Cryptocurrency",
)
_NO_LIMIT = "-1"
"""TWS's word for "any number of day trades"."""


def money(amount: Decimal) -> str:
    return f"{amount.quantize(CENT)}"


def average_cost(position: Position) -> Decimal:
    return position.average_cost.quantize(_AVERAGE_PLACES)


def position(account_id: str, instrument: Instrument, held: Position) -> Values:
    """Values of position, and with a request id of positionMulti; the exchange is where the contract is listed."""
    return {
        **contract(instrument, instrument.primary_exchange),
        "account": account_id,
        "position": held.quantity,
        "average_cost": average_cost(held),
    }


def portfolio_item(account_id: str, item: PositionValue) -> Values:
    values = contract(item.instrument, item.instrument.primary_exchange)
    values["primary_exchange"] = values.pop("exchange")
    return {
        **values,
        "position": item.position.quantity,
        "market_price": item.price,
        "market_value": money(item.market_value),
        "average_cost": average_cost(item.position),
        "unrealized_pnl": money(item.unrealized),
        "realized_pnl": money(item.position.realized),
        "account": account_id,
    }


def profit(valuation: Valuation) -> tuple[str, ...]:
    """Return an account's profit: of the day, open, realized."""
    return tuple(money(amount) for amount in (valuation.daily, valuation.unrealized, valuation.realized))


def position_profit(valuation: Valuation, contract_id: int) -> tuple[str, ...]:
    """Return a position's quantity, its profit of the day, open, realized, and its market value.

    Of a contract that was never held all but the quantity is unset.
    """
    for item in valuation.positions:
        if item.instrument.contract_id == contract_id:
            amounts = (item.daily, item.unrealized, item.position.realized, item.market_value)
            return (f"{item.position.quantity:f}", *(money(amount) for amount in amounts))
    return ("0", *([UNSET_DOUBLE] * 4))


@dataclass(frozen=True, slots=True)
class AccountValue:
    key: str
    value: str
    currency: str


def all_values(valuation: Valuation) -> Iterator[AccountValue]:
    """Yield all that account updates consist of."""
    yield AccountValue("AccountCode", valuation.account_id, "")
    yield AccountValue("AccountReady", "true", "")
    yield from summary_values(valuation)
    for key in _ALWAYS_ZERO:
        yield AccountValue(key, money(ZERO), "USD")
    yield AccountValue("NLVAndMarginInReview", "false", "")
    yield AccountValue("TradingType-S", "STKNOPT", "")
    yield AccountValue("SegmentTitle-S", "US Securities", "")
    yield from ledger_values(valuation)


def summary_values(valuation: Valuation) -> Iterator[AccountValue]:
    """Yield the account's values in USD."""
    equity, cash = valuation.equity_with_loan, valuation.total_cash
    amounts = {
        "NetLiquidation": valuation.net_liquidation,
        "TotalCashValue": cash,
        "SettledCash": cash,
        "AccruedCash": ZERO,
        "BuyingPower": valuation.buying_power,
        "EquityWithLoanValue": equity,
        "PreviousDayEquityWithLoanValue": valuation.net_liquidation - valuation.daily,
        "GrossPositionValue": valuation.gross_position_value,
        "RegTEquity": equity,
        "RegTMargin": valuation.initial_margin,
        "SMA": valuation.available_funds,
    }
    for prefix in ("", "Full", "LookAhead"):
        amounts[f"{prefix}InitMarginReq"] = valuation.initial_margin
        amounts[f"{prefix}MaintMarginReq"] = valuation.maintenance_margin
        amounts[f"{prefix}AvailableFunds"] = valuation.available_funds
        amounts[f"{prefix}ExcessLiquidity"] = valuation.excess_liquidity
    yield AccountValue("AccountType", "INDIVIDUAL", "")
    for key, amount in amounts.items():
        yield AccountValue(key, money(amount), "USD")
    if equity > 0:
        yield AccountValue("Cushion", f"{(valuation.excess_liquidity / equity).quantize(_RATIO_PLACES)}", "")
        yield AccountValue("Leverage", money(valuation.gross_position_value / equity), "")
    yield AccountValue("LookAheadNextChange", "0", "")
    yield AccountValue("HighestSeverity", "0", "")
    yield AccountValue("DayTradesRemaining", _NO_LIMIT, "")
    for days in range(1, 5):
        yield AccountValue(f"DayTradesRemainingT+{days}", _NO_LIMIT, "")


def ledger_values(valuation: Valuation) -> Iterator[AccountValue]:
    """Yield what TWS keeps per currency: all together as BASE, which is USD, then each by itself."""
    kinds = {
        "StockMarketValue": valuation.stock_value,
        "OptionMarketValue": valuation.option_value,
        "FuturesPNL": valuation.future_value,
        "UnrealizedPnL": valuation.unrealized,
        "RealizedPnL": valuation.realized,
    }
    one, account_id = Decimal(1), valuation.account_id
    in_dollars = valuation.net_liquidation - valuation.currency_value
    yield from _currency(_BASE, account_id, one, _cash(valuation.total_cash, valuation.net_liquidation) | kinds)
    yield from _currency("USD", account_id, one, _cash(valuation.cash, in_dollars) | kinds)
    for name, (amount, price) in valuation.currencies.items():
        yield from _currency(name, account_id, price, _cash(amount, amount) | dict.fromkeys(kinds, ZERO))


def _cash(amount: Decimal, worth: Decimal) -> dict[str, Decimal]:
    return {"CashBalance": amount, "TotalCashBalance": amount, "AccruedCash": ZERO, "NetLiquidationByCurrency": worth}


def _currency(name: str, account_id: str, rate: Decimal, amounts: dict[str, Decimal]) -> Iterator[AccountValue]:
    yield AccountValue("Currency", name, name)
    for key, amount in (amounts | dict.fromkeys(_ZERO_PER_CURRENCY, ZERO)).items():
        yield AccountValue(key, money(amount), name)
    yield AccountValue("ExchangeRate", money(rate) if rate == 1 else f"{rate.quantize(_RATE_PLACES)}", name)
    yield AccountValue("AccountOrGroup", account_id, name)
    yield AccountValue("RealCurrency", name, name)


def selected_values(valuation: Valuation, tags: frozenset[str]) -> list[AccountValue]:
    """Return the values of an account summary's tags.

    `$LEDGER` asks for what is kept per currency, in the base currency; `$LEDGER:EUR` for one, `$LEDGER:ALL` for all.
    """
    found = [value for value in summary_values(valuation) if value.key in tags]
    ledgers = {tag.partition(":")[2] or _BASE for tag in tags if tag.partition(":")[0] == LEDGER_TAG}
    if ledgers:
        found += [value for value in ledger_values(valuation) if "ALL" in ledgers or value.currency in ledgers]
    return found
