"""Inputs for the simulator's socket, from a seed: plausible requests of every kind, and what is wrong with others."""

import random
from collections.abc import Iterator
from typing import Any

from services.simulator.wire import requests
from services.simulator.wire.framing import LENGTH
from services.simulator.wire.layout import Choice, Field, Layout, Repeat, When, write
from services.simulator.wire.requests import LAYOUTS

UNSET = "1.7976931348623157e+308"
USUAL: dict[str, str] = {
    "con_id": "265598",
    "symbol": "AAPL",
    "sec_type": "STK",
    "exchange": "SMART",
    "currency": "USD",
    "strike": "0.0",
    "action": "BUY",
    "total_quantity": "1",
    "order_type": "LMT",
    "limit_price": "48",
    "aux_price": "",
    "tif": "DAY",
    "transmit": "1",
    "origin": "0",
    "exempt_code": "-1",
    "oca_type": "0",
    "oca_group": "",
    "parent_id": "0",
    "ratio": "1",
    "type": "1",
    "conjunction": "a",
    "bar_size": "1 day",
    "duration": "5 D",
    "what_to_show": "TRADES",
    "format_date": "1",
    "period": "3 days",
    "market_data_type": "1",
    "group": "All",
    "tags": "NetLiquidation,BuyingPower",
    "market_rule_id": "26",
    "level": "2",
    "instrument": "STK",
    "location_code": "STK.US.MAJOR",
    "scan_code": "TOP_PERC_GAIN",
    "rows": "10",
    "pattern": "AA",
    "tick_type": "Last",
    "under_sec_type": "STK",
    "under_con_id": "265598",
    "report_type": "ReportSnapshot",
    "provider": "BRFG",
    "providers": "BRFG",
    "option_price": "5.0",
    "volatility": "",
    "under_price": "200",
    "account": "",
    "exercise_action": "1",
    "exercise_quantity": "1",
    "trigger_price": UNSET,
    "cash_quantity": UNSET,
    "price": "200",
    "percent": "10",
    "change_percent": "5",
    "volume": "100",
    "count": "10",
    "data_type": "1",
}
"""What clients usually send, by field; other fields are usually empty or zero, which both count as not given."""
_FLAGS = (
    "subscribe outside_rth hidden block_order sweep_to_fill all_or_none what_if solicited not_held snapshot use_rth "
    "include_expired keep_up_to_date smart_depth ignore_size api_only auto_bind override ledger_and_nlv is_more "
    "regulatory_snapshot all_messages"
)
FLAGS = frozenset(_FLAGS.split())
_ORDER_TYPES = (
    "MKT,STP,STP LMT,TRAIL,TRAIL LIMIT,MIT,LIT,MOC,LOC,MKT,REL,MIDPRICE,PEG MID,PEG BEST,PEG BENCH,PEG STK,VOL,XXX"
)
OTHER: dict[str, list[str]] = {
    "con_id": ["0", "8314", "28812380", "1"],
    "symbol": ["IBM", "", "ZZZ", "SPY", "EUR"],
    "sec_type": ["OPT", "IND", "FUT", "CASH", "BAG", ""],
    "expiry": ["20100115", "201001", "20100219"],
    "strike": ["200.0", "210", "0"],
    "right": ["C", "P", "CALL", "?"],
    "multiplier": ["100", "50"],
    "exchange": ["NASDAQ", "NYSE", "IDEALPRO", "CME", "IBKRATS", ""],
    "primary_exchange": ["NASDAQ", "NYSE"],
    "currency": ["", "EUR"],
    "action": ["SELL", "SELL", "SSHORT"],
    "total_quantity": ["100", "5", "0.5", "0", "1000"],
    "order_type": _ORDER_TYPES.split(","),
    "limit_price": ["60", "40.33", "0", "-1", "214.001", "", UNSET],
    "aux_price": ["50", "47.5", "0", "1", UNSET],
    "trail_stop_price": ["50", "", UNSET],
    "trailing_percent": ["1", "50"],
    "tif": ["GTC", "IOC", "FOK", "OPG", "GTD", "", "DTC"],
    "transmit": ["0", "True"],
    "oca_group": ["a", "b"],
    "oca_type": ["1", "2", "3"],
    "parent_id": ["1", "2", "3"],
    "good_after_time": ["20100104 15:00:00 US/Eastern", "20100105-15:00:00"],
    "good_till_date": ["20100104 15:00:00 US/Eastern", "20100201"],
    "type": ["3", "4", "5", "6", "7"],
    "conjunction": ["o"],
    "time": ["20100104 15:00:00 US/Eastern", "20100104-00:00:00"],
    "bar_size": ["1 min", "5 mins", "1 hour", "30 secs", "1 week", "5"],
    "duration": ["1 D", "3600 S", "1 W", "1 M", ""],
    "what_to_show": ["MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST", "SCHEDULE", "HISTORICAL_VOLATILITY"],
    "end": ["20100104 16:00:00 US/Eastern", "20100104-21:00:00"],
    "start": ["20100104 09:30:00 US/Eastern"],
    "format_date": ["2"],
    "generic_ticks": ["233", "100,101,104,106,165,221,225,236", "292:BRFG"],
    "scan_code": ["MOST_ACTIVE", "HOT_BY_VOLUME", "LOW_OPEN_GAP"],
    "tick_type": ["AllLast", "BidAsk", "MidPoint"],
    "algo_strategy": ["Adaptive", "Vwap"],
    "hedge_type": ["D"],
    "delta_neutral_order_type": ["None", "MKT"],
    "scale_price_increment": ["0.1", UNSET],
    "delta_neutral_contract": ["1", "0", "False"],
    "compete_against_best_offset": ["Infinite", "0.02"],
    "min_quantity": ["10", "2147483647"],
    "display_size": ["10", "0"],
    "market_data_type": ["2", "3", "4"],
    "tags": ["$LEDGER:ALL", "$LEDGER", "All"],
    "account": ["DU1000001", "DU9"],
    "level": ["5"],
    "exercise_action": ["2"],
    "market_rule_id": ["0", "32"],
}
CONTRACTS: list[dict[str, str]] = [
    {"con_id": "0", "symbol": "AAPL", "sec_type": "OPT", "expiry": "20100219", "strike": "50.0", "right": "C"},
    {"con_id": "0", "symbol": "AAPL", "sec_type": "OPT", "expiry": "20100115", "strike": "45.0", "right": "P"},
    {"con_id": "0", "symbol": "EUR", "sec_type": "CASH", "exchange": "IDEALPRO"},
    {"con_id": "0", "symbol": "ES", "sec_type": "FUT", "expiry": "201003", "exchange": "CME"},
    {"con_id": "0", "symbol": "SPX", "sec_type": "IND", "exchange": "CBOE"},
    {"con_id": "0", "symbol": "SPY", "sec_type": "STK"},
    {"con_id": "28812380", "symbol": "AAPL", "sec_type": "BAG"},
]
NASTY = [
    *("", " ", "-1", "0", "1", "-0", "+1", "--1", "1_000", "0x10", "1.5.2", "1,5", "1e308", "1e-400", "1e400"),
    *("1E+999999999", "1E-999999999", "nan", "NaN", "sNaN", "NaN123", "inf", "-inf", "Infinite", "Infinity"),
    *("1.7976931348623157E308", "-1.7976931348623157E308", "2147483647", "2147483648", "-2147483648"),
    *("9223372036854775807", "9223372036854775808", "9" * 17, "9" * 18, "9" * 19, "9" * 5000, "-" + "9" * 40),
    *("0.0000000000000001", "999999999999.99", "1e15", "True", "False", "None", "?", "a", "a" * 10_000, "\u20ac"),
    *("\uff11\uff12", "\u0663", "\U0001f600", "\xe9" * 300, "\ufeff", "\u202e", "\r\n", "\t", "\x1b[2J", "%s%n", "{0}"),
    *("../../etc/passwd", "'; DROP TABLE", "<xml/>", "\\u0041", "\\", "*", ";;;", "=", "a=b;c=d;", ",,,"),
    *("20100104", "20100104 09:30:00", "20100104-09:30:00", "20100104  09:30:00", "20100104 09:30:00 Foo/Bar"),
    *("20100104 09:30:00 ../../x", "20100104 09:30:00 \x7f", "20100104 99:99:99", "00000000", "00010101-00:00:00"),
    *("99991231 23:59:59 UTC", "99991231-23:59:59", "20100230", "20100104 09:30:00 " + "Z" * 300, "09:30", "0"),
    *("1 D", "0 D", "-1 D", "999999999 Y", "99999 D", "1 X", "D", "1 sec", "0 secs", "1 year", "99999999 S"),
    *("20100104 16:00:00 America/New_York", "20100104 02:30:00 America", "00010101 00:00:00 Asia/Tokyo"),
]


def plausible(chance: random.Random, name: str) -> str:
    """Return a value that a client might send in a field."""
    if name in FLAGS:
        return chance.choice("01") if chance.random() < 0.2 else "0"
    if name in ("request_id", "order_id"):
        return str(chance.randrange(1, 2_000))
    others = OTHER.get(name)
    if others and chance.random() < 0.15:
        return chance.choice(others)
    return USUAL.get(name, "")


def values(chance: random.Random, layout: Layout) -> dict[str, Any]:
    """Return plausible values for a layout; of the deciding ones, those that make it longer are rare."""
    drawn: dict[str, Any] = {}
    for item in layout:
        if isinstance(item, Field):
            drawn[item.name] = item.default if item.name == "_version" else plausible(chance, item.name)
        elif isinstance(item, Repeat):
            count = chance.choice((0, 0, 0, 0, 0, 0, 1, 2, 3)) if item.name == "conditions" else chance.randrange(3)
            drawn[item.name] = [values(chance, item.items) for _ in range(count)]
        elif isinstance(item, When):
            drawn = {**values(chance, item.items), **drawn}
        elif isinstance(item, Choice):
            drawn = {**values(chance, item.cases.get(drawn[item.name], ())), **drawn}
    return drawn


def request(chance: random.Random, version: int) -> list[str]:
    """Return the fields of a plausible request; every fifth one is an order."""
    message_id = requests.PLACE if chance.random() < 0.2 else chance.choice(list(LAYOUTS))
    if message_id == requests.REQUEST_COMPLETED_ORDERS and chance.random() < 0.9:
        message_id = requests.REQUEST_OPEN_ORDERS  # shorter: everybody's orders of the day are thousands here
    layout = LAYOUTS[message_id]
    drawn = values(chance, layout)
    if "sec_type" in drawn and chance.random() < 0.3:
        drawn |= {name: value for name, value in chance.choice(CONTRACTS).items() if name in drawn}
    if message_id == requests.PLACE:
        drawn["duration"] = ""  # a number of seconds, unlike the one of historical data
    return [str(message_id), *write(layout, drawn, version)]


def payload(fields: list[str]) -> bytes:
    return "".join(f"{field}\0" for field in fields).encode("utf-8", "surrogatepass")


def framed(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def mutated(chance: random.Random, fields: list[str]) -> bytes:
    """Return the payload of a request with one to three things wrong."""
    fields = list(fields)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(len(fields)) if fields else 0
        match chance.randrange(12):
            case 0 if fields:
                del fields[place]
            case 1:
                fields.insert(place, chance.choice(NASTY))
            case 2 if fields:
                other = chance.randrange(len(fields))
                fields[place], fields[other] = fields[other], fields[place]
            case 3 if fields:
                fields[0] = str(chance.randrange(120))
            case 4:
                fields += fields[place:] * chance.randrange(1, 4)
            case 5:
                return _damaged(chance, payload(fields))
            case _ if fields:
                fields[place] = chance.choice(NASTY)
    return payload(fields)


def _damaged(chance: random.Random, data: bytes) -> bytes:
    """Return bytes with some replaced, removed or added."""
    damaged = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                damaged[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del damaged[place : place + chance.randrange(1, 20)]
            case 2:
                damaged[place:place] = bytes(chance.randrange(1, 20))
            case _:
                damaged[place:place] = chance.randbytes(chance.randrange(1, 20))
    return bytes(damaged)


def garbage(chance: random.Random) -> bytes:
    """Return bytes after which a stream cannot be followed any more: broken frames, or no frames at all."""
    match chance.randrange(7):
        case 0:
            return chance.randbytes(chance.randrange(1, 200))
        case 1:
            return LENGTH.pack(chance.choice((1 << 31, (1 << 32) - 1, 1 << 24, (1 << 20) + 1)))
        case 2:
            return LENGTH.pack(100) + bytes(chance.randrange(100))
        case 3:
            return LENGTH.pack(0)
        case 4:
            return b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        case 5:
            return LENGTH.pack(5) + chance.randbytes(5)
        case _:
            whole = framed(payload(request(chance, 178)))
            return whole[: chance.randrange(len(whole))]


def openings(chance: random.Random) -> Iterator[bytes]:
    """Yield what a stranger sends instead of a handshake and startApi."""
    while True:
        match chance.randrange(6):
            case 0:
                yield garbage(chance)
            case 1:
                yield b"API\0" + garbage(chance)
            case 2:
                offer = chance.choice((b"v157..157", b"v1..2", b"", b"v", b"v999..1", b"v157..178 \xff", b"x" * 500))
                yield b"API\0" + framed(offer)
            case 3:
                yield b"API\0" + framed(b"v157..178") + garbage(chance)
            case 4:
                yield b"API\0" + framed(b"v157..178") + framed(mutated(chance, ["71", "2", "40", ""]))
            case _:
                yield b"API\0"[: chance.randrange(5)]
