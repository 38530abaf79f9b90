"""Contracts as TWS API messages."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.simulator.core.chains import Chain
from services.simulator.core.increments import MARKET_RULES
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.wire.layout import Values, Writable


def contract(instrument: Instrument, exchange: str, right: str = "") -> dict[str, Writable]:
    """Return the contract fields of a message; `right` is what is shown for an instrument that has none."""
    return {
        "con_id": instrument.contract_id,
        "symbol": instrument.symbol,
        "sec_type": str(instrument.security_type),
        "expiry": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else "",
        "strike": instrument.strike,
        "right": instrument.right or right,
        "multiplier": instrument.multiplier if instrument.expiry else "",
        "exchange": exchange,
        "currency": instrument.currency,
        "local_symbol": instrument.local_symbol,
        "trading_class": instrument.trading_class,
    }


ORDER_TYPES = (
    "ACTIVETIM,AD,ADJUST,ALERT,ALLOC,AVGCOST,BASKET,COND,CONDORDER,DAY,DEACT,FOK,GAT,GTC,GTD,GTT,HID,IOC,LIT,LMT,LOC,"
    "MIDPX,MIT,MKT,MOC,NGCOMB,NODARK,OCA,OPG,PEGMID,REL,SCALE,SIZECHK,STP,STPLMT,TRAIL,TRAILLIT,TRAILLMT,WHATIF"
)
_ROUND_LOT = 100
_HOURS_DAYS = 6
_CHICAGO = ("CME", "CBOT")
_ZONES = {"US/Eastern": ZoneInfo("America/New_York"), "US/Central": ZoneInfo("America/Chicago")}


def security_ids(instrument: Instrument) -> list[tuple[str, str]]:
    """Return the identifiers of a listed stock. Its ISIN is not the real one, but made from the contract id."""
    if instrument.security_type is not SecurityType.STOCK:
        return []
    return [("ISIN", f"US{instrument.contract_id:010d}")]


class Describer:
    """Contract details of many contracts on one day, whose trading hours are worked out once."""

    def __init__(self, market: Market, today: date) -> None:
        self._market = market
        self._today = today
        self._known_hours: dict[SecurityType, tuple[str, str]] = {}

    def details(self, instrument: Instrument, request_id: int, exchange: str = "") -> Values:
        """Return the values of contractDetails; `exchange` is the one that was asked for, if any."""
        trading, liquid = self._hours(instrument)
        ids: list[Values] = [{"tag": tag, "value": value} for tag, value in security_ids(instrument)]
        rule = MARKET_RULES[instrument.market_rule]
        values = contract(instrument, exchange or instrument.exchange)
        values["last_trade_date"] = values.pop("expiry")
        is_index = instrument.security_type is SecurityType.INDEX
        return {
            **values,
            **self._underlying(instrument),
            "request_id": request_id,
            "market_name": instrument.trading_class,
            "min_tick": rule[0].increment,
            "order_types": "" if is_index else ORDER_TYPES,
            "valid_exchanges": ",".join(instrument.exchanges),
            "long_name": instrument.long_name,
            "primary_exchange": instrument.primary_exchange,
            "time_zone": zone_name(instrument),
            "trading_hours": trading,
            "liquid_hours": liquid,
            "security_ids": ids,
            "market_rule_ids": ",".join(str(instrument.market_rule) for _ in instrument.exchanges),
            "stock_type": instrument.stock_type,
            "min_size": instrument.minimum_size,
            "size_increment": instrument.size_increment,
            "suggested_size_increment": _ROUND_LOT if instrument.security_type is SecurityType.STOCK else 1,
        }

    def _underlying(self, instrument: Instrument) -> Mapping[str, Writable]:
        if not instrument.underlying_id or instrument.expiry is None:
            return {}
        underlying = self._market.instrument(instrument.underlying_id)
        return {
            "under_con_id": instrument.underlying_id,
            "under_symbol": underlying.symbol,
            "under_sec_type": str(underlying.security_type),
            "contract_month": f"{instrument.expiry:%Y%m}",
            "real_expiration_date": f"{instrument.expiry:%Y%m%d}",
        }

    def _hours(self, instrument: Instrument) -> tuple[str, str]:
        """Return all and the regular hours of today and the next days, in the exchange's own zone."""
        kind = instrument.security_type
        if kind is SecurityType.FUTURE:
            return self._hours_of(instrument)
        if kind not in self._known_hours:
            self._known_hours[kind] = self._hours_of(instrument)
        return self._known_hours[kind]

    def _hours_of(self, instrument: Instrument) -> tuple[str, str]:
        zone = _ZONES[zone_name(instrument)]
        trading: list[str] = []
        liquid: list[str] = []
        for day in (self._today + timedelta(days=offset) for offset in range(_HOURS_DAYS)):
            frame = self._market.trading_days(instrument.contract_id).of_day(day)
            if frame is None:
                trading.append(f"{day:%Y%m%d}:CLOSED")
                liquid.append(f"{day:%Y%m%d}:CLOSED")
            else:
                first, final = frame.regular
                closes = min(frame.start + final * frame.step, frame.end)
                trading.append(_span(frame.start, frame.end, zone))
                liquid.append(_span(frame.start + first * frame.step, closes, zone))
        return ";".join(trading), ";".join(liquid)


def zone_name(instrument: Instrument) -> str:
    """Return the time zone of an instrument's hours, as TWS names it."""
    return "US/Central" if instrument.exchange in _CHICAGO else "US/Eastern"


def _span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    return f"{start.astimezone(zone):%Y%m%d:%H%M}-{end.astimezone(zone):%Y%m%d:%H%M}"


def option_parameters(request_id: int, underlying_id: int, chain: Chain) -> Values:
    expiries: list[Values] = [{"expiry": f"{expiry:%Y%m%d}"} for expiry in chain.expiries]
    strikes: list[Values] = [{"strike": strike} for strike in chain.strikes]
    return {
        "request_id": request_id,
        "exchange": chain.exchange,
        "under_con_id": underlying_id,
        "trading_class": chain.trading_class,
        "multiplier": chain.multiplier,
        "expirations": expiries,
        "strikes": strikes,
    }


def symbol_sample(instrument: Instrument, derivatives: Sequence[str]) -> Values:
    kinds: list[Values] = [{"sec_type": kind} for kind in derivatives]
    return {
        "con_id": instrument.contract_id,
        "symbol": instrument.symbol,
        "sec_type": str(instrument.security_type),
        "primary_exchange": instrument.primary_exchange,
        "currency": instrument.currency,
        "derivative_types": kinds,
        "description": instrument.long_name,
        "issuer_id": "",
    }


_DEPTH_EXCHANGES = (
    ("ARCA", "STK"), ("BATS", "STK"), ("IEX", "STK"), ("NASDAQ", "STK"), ("NYSE", "STK"), ("CBOE", "OPT"),
    ("ISE", "OPT"), ("CME", "FUT"), ("CBOT", "FUT"), ("IDEALPRO", "CASH"),
)  # fmt: skip
_LETTERS = (("NYSE", "N"), ("NASDAQ", "Q"), ("ARCA", "P"), ("BATS", "Z"), ("IEX", "V"))


def depth_exchanges() -> list[Values]:
    """Return where a book can be asked for, and of what."""
    return [
        {"exchange": exchange, "sec_type": kind, "listing_exchange": "", "service_data_type": "Deep"}
        for exchange, kind in _DEPTH_EXCHANGES
    ]


def smart_components() -> list[Values]:
    """Return the letters that stand for exchanges in the best bid and offer."""
    return [
        {"bit_number": number, "exchange": exchange, "letter": letter}
        for number, (exchange, letter) in enumerate(_LETTERS)
    ]
