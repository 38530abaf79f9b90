"""What the engine knows, as TWS API messages: pure functions from orders, executions, quotes and balances to values."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from services.simulator.core.account import CENT, Position, Valuation
from services.simulator.core.exchange import EXCHANGE_ZONE
from services.simulator.core.history import HistoricalBar
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market, Quote
from services.simulator.core.orders import Execution, Order
from services.simulator.wire.layout import UNSET_DOUBLE, Values

ZONE_NAME = "US/Eastern"
MIN_TICK = Decimal("0.01")
MARKET_RULE_ID = 26
_HOURS_DAYS = 6
_AVERAGE_PLACES = Decimal("0.00000001")
_RATIO_PLACES = Decimal("0.0001")


def exchange_time(moment: datetime) -> str:
    """Return TWS's form since version 174: `yyyymmdd hh:mm:ss zone`."""
    return f"{moment.astimezone(EXCHANGE_ZONE):%Y%m%d %H:%M:%S} {ZONE_NAME}"


def money(amount: Decimal) -> str:
    return f"{amount.quantize(CENT)}"


def contract(listing: Instrument, exchange: str, right: str = "") -> dict[str, str | int]:
    return {
        "con_id": listing.contract_id,
        "symbol": listing.symbol,
        "sec_type": "STK",
        "strike": 0,
        "right": right,
        "exchange": exchange,
        "currency": "USD",
        "local_symbol": listing.symbol,
        "trading_class": listing.trading_class,
    }


def _order_terms(order: Order, listing: Instrument, account: str) -> dict[str, str | int | bool | Decimal]:
    request = order.request
    return {
        **contract(listing, "SMART", right="?"),
        "action": request.action,
        "total_quantity": request.quantity,
        "order_type": request.order_type,
        "limit_price": "0.0" if request.limit_price is None else request.limit_price,
        "aux_price": "0.0" if request.stop_price is None else request.stop_price,
        "tif": request.time_in_force,
        "oca_group": order.oca_group,
        "oca_type": request.oca_type,
        "account": account,
        "order_ref": request.order_ref,
        "perm_id": order.permanent_id,
        "outside_rth": request.outside_regular_hours,
        "status": str(order.status),
    }


def open_order(order: Order, listing: Instrument, account: str) -> Values:
    """Values of openOrder. Unset numbers and `None`, `?`, `IB` are spelt as a real gateway spells them."""
    request = order.request
    return {
        **_order_terms(order, listing, account),
        "order_id": request.order_id,
        "client_id": request.client_id,
        "parent_id": request.parent_id,
        "allocation": f"{order.permanent_id}.0/{account}/{request.quantity:f}",
    }


def completed_order(order: Order, listing: Instrument, account: str) -> Values:
    assert order.completed_at is not None  # noqa: S101 - set with every final status
    reason = order.completed_reason or "Cancelled by Trader"
    return {
        **_order_terms(order, listing, account),
        "filled_quantity": order.filled,
        "completed_time": exchange_time(order.completed_at),
        "completed_status": reason,
    }


def order_status(order: Order) -> Values:
    request = order.request
    return {
        "order_id": request.order_id,
        "status": str(order.status),
        "filled": order.filled,
        "remaining": order.remaining,
        "average_fill_price": order.average_price,
        "perm_id": order.permanent_id,
        "parent_id": request.parent_id,
        "last_fill_price": order.last_fill_price,
        "client_id": request.client_id,
        "why_held": order.why_held,
    }


def execution(found: Execution, request_id: int, listing: Instrument, account: str) -> Values:
    """Values of execDetails; `request_id` is -1 for a live fill."""
    return {
        **contract(listing, found.venue),
        "request_id": request_id,
        "order_id": found.order.request.order_id,
        "execution_id": found.execution_id,
        "time": exchange_time(found.time),
        "account": account,
        "venue": found.venue,
        "side": found.side,
        "shares": found.shares,
        "price": found.price,
        "perm_id": found.order.permanent_id,
        "client_id": found.order.request.client_id,
        "cumulative_quantity": found.order.filled,
        "average_price": found.order.average_price,
        "order_ref": found.order.request.order_ref,
    }


def commission(found: Execution) -> Values:
    """Values of the commission report; the realized profit is unset for a fill that closed nothing."""
    return {
        "execution_id": found.execution_id,
        "commission": found.commission,
        "currency": "USD",
        "realized_pnl": UNSET_DOUBLE if found.realized is None else found.realized,
        "yield": UNSET_DOUBLE,
    }


def contract_details(listing: Instrument, request_id: int, market: Market, today: date) -> Values:
    hours = _trading_hours(market, today)
    return {
        "request_id": request_id,
        "symbol": listing.symbol,
        "sec_type": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "local_symbol": listing.symbol,
        "market_name": listing.trading_class,
        "trading_class": listing.trading_class,
        "con_id": listing.contract_id,
        "min_tick": MIN_TICK,
        "order_types": "ACTIVETIM,DAY,GTC,LMT,MKT,OCA,STP",
        "valid_exchanges": f"SMART,{listing.primary_exchange}",
        "long_name": listing.long_name,
        "primary_exchange": listing.primary_exchange,
        "time_zone": ZONE_NAME,
        "trading_hours": hours,
        "liquid_hours": hours,
        "security_ids": [{"tag": "ISIN", "value": f"US{listing.contract_id:010d}"}],
        "market_rule_ids": f"{MARKET_RULE_ID},{MARKET_RULE_ID}",
    }


def _trading_hours(market: Market, today: date) -> str:
    """Return today's and the next days' regular hours, the only ones in which the simulated exchange trades."""
    sessions = {session.day: session for session in market.all_sessions}
    parts: list[str] = []
    for day in (today + timedelta(days=offset) for offset in range(_HOURS_DAYS)):
        session = sessions.get(day)
        if session is None:
            parts.append(f"{day:%Y%m%d}:CLOSED")
        else:
            opens, closes = (moment.astimezone(EXCHANGE_ZONE) for moment in (session.open, session.close))
            parts.append(f"{opens:%Y%m%d:%H%M}-{closes:%Y%m%d:%H%M}")
    return ";".join(parts)


def historical_bar(bar: HistoricalBar, format_date: int, version: int) -> Values:
    return {
        "date": _bar_date(bar.start, format_date, version),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "average": bar.average,
        "count": bar.count,
    }


def _bar_date(start: datetime | date, format_date: int, version: int) -> str:
    if not isinstance(start, datetime):
        return f"{start:%Y%m%d}"
    if format_date == 2:
        return str(int(start.timestamp()))
    return exchange_time(start) if version >= 174 else f"{start.astimezone(EXCHANGE_ZONE):%Y%m%d  %H:%M:%S}"


def portfolio_item(listing: Instrument, position: Position, price: Decimal, account: str) -> Values:
    market_value = position.quantity * price
    values = contract(listing, listing.primary_exchange)
    values["primary_exchange"] = values.pop("exchange")
    return {
        **values,
        "position": position.quantity,
        "market_price": price,
        "market_value": money(market_value),
        "average_cost": average_cost(position),
        "unrealized_pnl": money(market_value - position.cost),
        "realized_pnl": money(position.realized),
        "account": account,
    }


def average_cost(position: Position) -> Decimal:
    return position.average_cost.quantize(_AVERAGE_PLACES)


@dataclass(frozen=True, slots=True)
class AccountValue:
    key: str
    value: str
    currency: str


def summary_values(valuation: Valuation) -> Iterator[AccountValue]:
    """Yield the account's values under the names of TWS's account summary tags, in USD."""
    zero = Decimal(0)
    equity, cash = valuation.net_liquidation, valuation.cash
    amounts = {
        "NetLiquidation": equity,
        "TotalCashValue": cash,
        "SettledCash": cash,
        "AccruedCash": zero,
        "BuyingPower": valuation.buying_power,
        "EquityWithLoanValue": equity,
        "PreviousDayEquityWithLoanValue": equity - valuation.daily,
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
        yield AccountValue("Cushion", _ratio(valuation.excess_liquidity / equity), "")
        yield AccountValue("Leverage", _ratio(valuation.gross_position_value / equity), "")
    yield AccountValue("DayTradesRemaining", "-1", "")  # TWS's word for "without limit"


def ledger_values(valuation: Valuation) -> Iterator[AccountValue]:
    """Yield the values TWS keeps per currency; in a USD account BASE and USD are equal."""
    amounts = {
        "CashBalance": valuation.cash,
        "TotalCashBalance": valuation.cash,
        "StockMarketValue": valuation.stock_value,
        "NetLiquidationByCurrency": valuation.net_liquidation,
        "UnrealizedPnL": valuation.unrealized,
        "RealizedPnL": valuation.realized,
    }
    for currency in ("BASE", "USD"):
        yield AccountValue("Currency", currency, currency)
        for key, amount in amounts.items():
            yield AccountValue(key, money(amount), currency)
        yield AccountValue("ExchangeRate", "1.00", currency)


def _ratio(value: Decimal) -> str:
    return f"{value.quantize(_RATIO_PLACES)}"


def price_ticks(quote: Quote) -> Iterator[tuple[int, Decimal, int]]:
    """Yield the parts of a quote that are prices: tick type, price, size (0 where TWS sends none)."""
    yield 1, quote.bid, quote.bid_size
    yield 2, quote.ask, quote.ask_size
    yield 4, quote.last, quote.last_size
    yield 6, quote.high, 0
    yield 7, quote.low, 0
    yield 14, quote.open, 0
    if quote.previous_close is not None:
        yield 9, quote.previous_close, 0


def value_ticks(quote: Quote) -> Iterator[tuple[int, int | str]]:
    """Yield the other parts of a quote: tick type and value, volume as a number and last trade time as text."""
    yield 8, quote.volume
    yield 45, str(int(quote.time.timestamp()))
