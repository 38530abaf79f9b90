"""Requests: their message ids, their layouts by id, and typed access to the fields of one."""

from services.simulator.wire.layout import UNSET_INTEGER, Layout, LayoutError, Row, Values, read, write
from services.simulator.wire.request_layouts import REQUESTS

REQUEST_MARKET_DATA = 1
CANCEL_MARKET_DATA = 2
PLACE = 3
CANCEL_ORDER = 4
REQUEST_OPEN_ORDERS = 5
REQUEST_ACCOUNT_UPDATES = 6
REQUEST_EXECUTIONS = 7
REQUEST_IDS = 8
REQUEST_CONTRACT_DETAILS = 9
REQUEST_MARKET_DEPTH = 10
CANCEL_MARKET_DEPTH = 11
REQUEST_NEWS_BULLETINS = 12
CANCEL_NEWS_BULLETINS = 13
SET_SERVER_LOG_LEVEL = 14
REQUEST_AUTO_OPEN_ORDERS = 15
REQUEST_ALL_OPEN_ORDERS = 16
REQUEST_MANAGED_ACCOUNTS = 17
REQUEST_FA = 18
REPLACE_FA = 19
REQUEST_HISTORICAL_DATA = 20
EXERCISE_OPTIONS = 21
REQUEST_SCANNER = 22
CANCEL_SCANNER = 23
REQUEST_SCANNER_PARAMETERS = 24
CANCEL_HISTORICAL_DATA = 25
REQUEST_CURRENT_TIME = 49
REQUEST_REAL_TIME_BARS = 50
CANCEL_REAL_TIME_BARS = 51
REQUEST_FUNDAMENTAL_DATA = 52
CANCEL_FUNDAMENTAL_DATA = 53
CALCULATE_IMPLIED_VOLATILITY = 54
CALCULATE_OPTION_PRICE = 55
CANCEL_CALCULATE_IMPLIED_VOLATILITY = 56
CANCEL_CALCULATE_OPTION_PRICE = 57
GLOBAL_CANCEL = 58
REQUEST_MARKET_DATA_TYPE = 59
REQUEST_POSITIONS = 61
REQUEST_ACCOUNT_SUMMARY = 62
CANCEL_ACCOUNT_SUMMARY = 63
CANCEL_POSITIONS = 64
VERIFY_REQUEST = 65
VERIFY_MESSAGE = 66
QUERY_DISPLAY_GROUPS = 67
SUBSCRIBE_GROUP_EVENTS = 68
UPDATE_DISPLAY_GROUP = 69
UNSUBSCRIBE_GROUP_EVENTS = 70
START_API = 71
VERIFY_AND_AUTH_REQUEST = 72
VERIFY_AND_AUTH_MESSAGE = 73
REQUEST_POSITIONS_MULTI = 74
CANCEL_POSITIONS_MULTI = 75
REQUEST_ACCOUNT_UPDATES_MULTI = 76
CANCEL_ACCOUNT_UPDATES_MULTI = 77
REQUEST_OPTION_PARAMETERS = 78
REQUEST_SOFT_DOLLAR_TIERS = 79
REQUEST_FAMILY_CODES = 80
REQUEST_MATCHING_SYMBOLS = 81
REQUEST_DEPTH_EXCHANGES = 82
REQUEST_SMART_COMPONENTS = 83
REQUEST_NEWS_ARTICLE = 84
REQUEST_NEWS_PROVIDERS = 85
REQUEST_HISTORICAL_NEWS = 86
REQUEST_HEAD_TIMESTAMP = 87
REQUEST_HISTOGRAM = 88
CANCEL_HISTOGRAM = 89
CANCEL_HEAD_TIMESTAMP = 90
REQUEST_MARKET_RULE = 91
REQUEST_PNL = 92
CANCEL_PNL = 93
REQUEST_PNL_SINGLE = 94
CANCEL_PNL_SINGLE = 95
REQUEST_HISTORICAL_TICKS = 96
REQUEST_TICK_BY_TICK = 97
CANCEL_TICK_BY_TICK = 98
REQUEST_COMPLETED_ORDERS = 99
REQUEST_WSH_META_DATA = 100
CANCEL_WSH_META_DATA = 101
REQUEST_WSH_EVENT_DATA = 102
CANCEL_WSH_EVENT_DATA = 103
REQUEST_USER_INFO = 104

LAYOUTS: dict[int, Layout] = {message_id: layout for message_id, (_, layout) in REQUESTS.items()}
NAMES: dict[int, str] = {message_id: name for message_id, (name, _) in REQUESTS.items()}
"""What clients call the requests, by message id."""


class Request:
    """One request: its message id and typed access to its fields.

    The accessors raise ValueError naming the field when its text is not of the type asked for.
    """

    def __init__(self, message_id: int, row: Row) -> None:
        self.message_id = message_id
        self.row = row

    @classmethod
    def parse(cls, message_id: int, fields: list[str], version: int) -> "Request":
        """Read all fields of a message, the first of which is its id.

        Raises LayoutError when the fields do not fit; KeyError when the message id is not known.
        """
        return cls(message_id, read(LAYOUTS[message_id], fields[1:], version))

    @property
    def name(self) -> str:
        return NAMES[self.message_id]

    def text(self, name: str) -> str:
        value = self.row.get(name, "")
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected one value, got rows")
        return value

    def integer(self, name: str, default: int = 0) -> int:
        """Return a whole number that fits 64 bits; `default` if the field is empty or unset."""
        value = self.text(name)
        if value in ("", UNSET_INTEGER):
            return default
        if len(value) > _LONGEST_INTEGER or not value.removeprefix("-").isdecimal() or not value.isascii():
            raise ValueError(f"{name}: {value[:40]!r} is not a whole number")
        return int(value)

    def flag(self, name: str) -> bool:
        """True for `1` and for `True`, which is how numpy's bools arrive."""
        value = self.text(name)
        if value not in ("", "0", "1", "False", "True"):
            raise ValueError(f"{name}: {value[:40]!r} is neither 0 nor 1")
        return value in ("1", "True")


_LONGEST_INTEGER = 18


def write_request(message_id: int, values: Values, version: int) -> list[str]:
    """Return the fields of a request, its id first, as a client sends them; what is not given gets its default.

    Raises KeyError for an unknown message id, LayoutError for a name that the request does not have.
    """
    return [str(message_id), *write(LAYOUTS[message_id], values, version)]


def read_request(fields: list[str], version: int) -> Request:
    """Return the request that these fields are. Raises LayoutError, also when the message id is not known."""
    if not (fields and fields[0].isdecimal() and len(fields[0]) < _LONGEST_INTEGER and int(fields[0]) in LAYOUTS):
        raise LayoutError(f"message id {(fields or [''])[0][:40]!r} is not one of the API's")
    return Request.parse(int(fields[0]), fields, version)
