"""Contracts as rows of the Web API."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.simulator.core.bars import Frame
from services.simulator.core.increments import MARKET_RULES, increment_of
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.present.contracts import zone_name

_ZONES = {"US/Eastern": ZoneInfo("America/New_York"), "US/Central": ZoneInfo("America/Chicago")}
_ORDER_TYPES = (
    "limit", "midprice", "market", "stop", "stop_limit", "mit", "lit", "trailing_stop", "trailing_stop_limit",
    "relative", "marketonclose", "limitonclose",
)  # fmt: skip
_ROUND_LOT = 100


def month_name(day: date) -> str:
    """Return a month as the Web API writes it: JAN27."""
    return f"{day:%b%y}".upper()


def search_row(one: Instrument, sections: Sequence[dict[str, str]]) -> dict[str, object]:
    return {
        "conid": str(one.contract_id),
        "companyHeader": f"{one.long_name} - {one.primary_exchange}",
        "companyName": one.long_name,
        "symbol": one.symbol,
        "description": one.primary_exchange,
        "restricted": None,
        "sections": list(sections),
    }


def definition(one: Instrument, has_options: bool) -> dict[str, object]:
    """Return a row of `/trsrv/secdef`."""
    return {
        "incrementRules": increment_rules(one),
        "conid": one.contract_id,
        "currency": one.currency,
        "crossCurrency": one.security_type is SecurityType.CURRENCY,
        "allExchanges": ",".join(one.exchanges),
        "listingExchange": one.primary_exchange,
        "countryCode": "US",
        "name": one.long_name,
        "fullName": one.local_symbol,
        "assetClass": str(one.security_type),
        "expiry": _expiry(one) or None,
        "lastTradingDay": _expiry(one) or None,
        "putOrCall": one.right or None,
        "strike": f"{one.strike:f}",
        "ticker": one.symbol,
        "undConid": one.underlying_id,
        "multiplier": float(one.multiplier) if one.expiry else 0.0,
        "type": one.stock_type or None,
        "hasOptions": has_options,
        "isUS": True,
        "isEventContract": False,
    }


def details(one: Instrument) -> dict[str, object]:
    """Return a row of `/iserver/contract/{conid}/info`."""
    return {
        "cfi_code": "",
        "symbol": one.symbol,
        "cusip": None,
        "expiry_full": _expiry(one) or None,
        "con_id": one.contract_id,
        "maturity_date": _expiry(one) or None,
        "underlying_con_id": one.underlying_id,
        "instrument_type": str(one.security_type),
        "trading_class": one.trading_class,
        "valid_exchanges": ",".join(one.exchanges),
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": one.local_symbol,
        "contract_clarification_type": None,
        "classifier": None,
        "contract_month": f"{one.expiry:%Y%m}" if one.expiry else None,
        "company_name": one.long_name,
        "smart_available": one.exchange == "SMART",
        "exchange": one.exchange,
        "listing_exchange": one.primary_exchange,
        "currency": one.currency,
        "text": short_names(one)["desc2"] or None,
        "multiplier": str(one.multiplier) if one.expiry else None,
        "strike": f"{one.strike:f}" if one.right else None,
        "right": one.right or None,
    }


def short_names(one: Instrument) -> dict[str, object]:
    """Return what a row of `/iserver/secdef/info` calls things."""
    side = {"C": " Call", "P": " Put"}.get(one.right, "")
    when = f"{one.expiry:%b %d '%y}".upper() if one.expiry else ""
    return {
        "conid": one.contract_id,
        "secType": str(one.security_type),
        "listingExchange": one.primary_exchange,
        "maturityDate": _expiry(one) or None,
        "tradingClass": one.trading_class,
        "validExchanges": ",".join(one.exchanges),
        "right": one.right or "?",
        "strike": float(one.strike),
        "coupon": "No Coupon",
        "desc1": one.symbol,
        "desc2": f"{when} {one.strike.normalize():f}{side}" if one.right else when,
    }


def rules(one: Instrument, accounts: Sequence[str], price: Decimal) -> dict[str, object]:
    """Return the order rules of a contract: the price steps of its market rule, and as `increment` that at `price`."""
    increment = increment_of(one.market_rule, price)
    return {
        "algoEligible": False,
        "canTradeAcctIds": [] if one.security_type is SecurityType.INDEX else list(accounts),
        "error": None,
        "orderTypes": list(_ORDER_TYPES),
        "orderTypesOutside": ["limit", "stop_limit"],
        "defaultSize": _ROUND_LOT if one.security_type is SecurityType.STOCK else 1,
        "sizeIncrement": float(one.size_increment),
        "tifTypes": ["IOC/MARKET,LIMIT", "GTC/o,a", "OPG/LIMIT,MARKET,a", "DAY/o,a"],
        "limitPrice": float(price),
        "stopprice": float(price),
        "preview": True,
        "cashCcy": one.currency,
        "priceMagnifier": None,
        "negativeCapable": False,
        "incrementType": 1,
        "incrementRules": increment_rules(one),
        "increment": float(increment),
        "incrementDigits": max(0, -int(increment.normalize().as_tuple().exponent)),
    }


def increment_rules(one: Instrument) -> list[dict[str, float]]:
    return [
        {"lowerEdge": float(step.low_edge), "increment": float(step.increment)}
        for step in MARKET_RULES[one.market_rule]
    ]


def zone_of(one: Instrument) -> ZoneInfo:
    """Return the time zone of an instrument's exchange."""
    return _ZONES[zone_name(one)]


def day_hours_in_seconds(frame: Frame) -> dict[str, list[dict[str, object]]]:
    opens, closes = regular_hours(frame)
    whole_day: dict[str, object] = {
        "opening": int(frame.start.timestamp()),
        "closing": int(frame.end.timestamp()),
        "cancel_daily_orders": True,
    }
    liquid: dict[str, object] = {"opening": int(opens.timestamp()), "closing": int(closes.timestamp())}
    return {"extended_hours": [whole_day], "liquid_hours": [liquid]}


def day_hours(frame: Frame, zone: ZoneInfo) -> dict[str, object]:
    """Return a day's hours as `/trsrv/secdef/schedule` writes them."""

    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%H%M}"

    opens, closes = regular_hours(frame)
    return {
        "clearingCycleEndTime": "0000",
        "tradingScheduleDate": f"{frame.day:%Y%m%d}",
        "sessions": [{"openingTime": clock(opens), "closingTime": clock(closes), "prop": "LIQUID"}],
        "tradingTimes": [{"openingTime": clock(frame.start), "closingTime": clock(frame.end), "cancelDayOrders": "Y"}],
    }


def regular_hours(frame: Frame) -> tuple[datetime, datetime]:
    first, final = frame.regular
    return frame.start + first * frame.step, min(frame.start + final * frame.step, frame.end)


def _expiry(one: Instrument) -> str:
    return f"{one.expiry:%Y%m%d}" if one.expiry else ""
