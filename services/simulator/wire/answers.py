"""Server to client: every answer by its constant, `encode`, which turns values into a frame, and `read_answer`.

The messages are declared by subject in `account_answers`, `data_answers`, `order_answers` and `reference_answers`;
their constants are all here, so that `answers.OPEN_ORDER` is what everybody else writes.
"""

from decimal import Decimal

from services.simulator.wire.account_answers import (
    ACCOUNT_DOWNLOAD_END,
    ACCOUNT_SUMMARY,
    ACCOUNT_SUMMARY_END,
    ACCOUNT_TIME,
    ACCOUNT_UPDATE_MULTI,
    ACCOUNT_UPDATE_MULTI_END,
    ACCOUNT_VALUE,
    CURRENT_TIME,
    ERROR,
    FAMILY_CODES,
    MANAGED_ACCOUNTS,
    NEXT_VALID_ID,
    PNL,
    PNL_SINGLE,
    PORTFOLIO,
    POSITION,
    POSITION_END,
    POSITION_MULTI,
    POSITION_MULTI_END,
    RECEIVE_FA,
    REPLACE_FA_END,
    SOFT_DOLLAR_TIERS,
    USER_INFO,
    VERIFY_AND_AUTH_COMPLETED,
    VERIFY_AND_AUTH_MESSAGE,
    VERIFY_COMPLETED,
    VERIFY_MESSAGE,
)
from services.simulator.wire.data_answers import (
    HEAD_TIMESTAMP,
    HISTOGRAM,
    HISTORICAL_DATA,
    HISTORICAL_DATA_UPDATE,
    HISTORICAL_SCHEDULE,
    HISTORICAL_TICKS,
    HISTORICAL_TICKS_BID_ASK,
    HISTORICAL_TICKS_LAST,
    MARKET_DATA_TYPE,
    MARKET_DEPTH,
    MARKET_DEPTH_L2,
    REAL_TIME_BAR,
    REROUTE_MARKET_DATA,
    REROUTE_MARKET_DEPTH,
    SNAPSHOT_END,
    TICK_BY_TICK,
    TICK_EFP,
    TICK_GENERIC,
    TICK_OPTION,
    TICK_PRICE,
    TICK_REQUEST_PARAMETERS,
    TICK_SIZE,
    TICK_STRING,
)
from services.simulator.wire.framing import LENGTH, frame
from services.simulator.wire.layout import LayoutError, Row, Values, read, text, write
from services.simulator.wire.message import Message
from services.simulator.wire.order_answers import (
    COMMISSION,
    COMPLETED_ORDER,
    COMPLETED_ORDERS_END,
    DELTA_NEUTRAL_VALIDATION,
    EXECUTION,
    EXECUTIONS_END,
    OPEN_ORDER,
    OPEN_ORDER_END,
    ORDER_BOUND,
    ORDER_STATUS,
)
from services.simulator.wire.reference_answers import (
    BOND_CONTRACT_DETAILS,
    CONTRACT_DETAILS,
    CONTRACT_DETAILS_END,
    DEPTH_EXCHANGES,
    DISPLAY_GROUP_LIST,
    DISPLAY_GROUP_UPDATED,
    FUNDAMENTAL_DATA,
    HISTORICAL_NEWS,
    HISTORICAL_NEWS_END,
    MARKET_RULE,
    NEWS_ARTICLE,
    NEWS_BULLETIN,
    NEWS_PROVIDERS,
    OPTION_PARAMETERS,
    OPTION_PARAMETERS_END,
    SCANNER_DATA,
    SCANNER_PARAMETERS,
    SMART_COMPONENTS,
    SYMBOL_SAMPLES,
    TICK_NEWS,
    WSH_EVENT_DATA,
    WSH_META_DATA,
)

MESSAGES = (
    ACCOUNT_DOWNLOAD_END,
    ACCOUNT_SUMMARY,
    ACCOUNT_SUMMARY_END,
    ACCOUNT_TIME,
    ACCOUNT_UPDATE_MULTI,
    ACCOUNT_UPDATE_MULTI_END,
    ACCOUNT_VALUE,
    BOND_CONTRACT_DETAILS,
    COMMISSION,
    COMPLETED_ORDER,
    COMPLETED_ORDERS_END,
    CONTRACT_DETAILS,
    CONTRACT_DETAILS_END,
    CURRENT_TIME,
    DELTA_NEUTRAL_VALIDATION,
    DEPTH_EXCHANGES,
    DISPLAY_GROUP_LIST,
    DISPLAY_GROUP_UPDATED,
    ERROR,
    EXECUTION,
    EXECUTIONS_END,
    FAMILY_CODES,
    FUNDAMENTAL_DATA,
    HEAD_TIMESTAMP,
    HISTOGRAM,
    HISTORICAL_DATA,
    HISTORICAL_DATA_UPDATE,
    HISTORICAL_NEWS,
    HISTORICAL_NEWS_END,
    HISTORICAL_SCHEDULE,
    HISTORICAL_TICKS,
    HISTORICAL_TICKS_BID_ASK,
    HISTORICAL_TICKS_LAST,
    MANAGED_ACCOUNTS,
    MARKET_DATA_TYPE,
    MARKET_DEPTH,
    MARKET_DEPTH_L2,
    MARKET_RULE,
    NEWS_ARTICLE,
    NEWS_BULLETIN,
    NEWS_PROVIDERS,
    NEXT_VALID_ID,
    OPEN_ORDER,
    OPEN_ORDER_END,
    OPTION_PARAMETERS,
    OPTION_PARAMETERS_END,
    ORDER_BOUND,
    ORDER_STATUS,
    PNL,
    PNL_SINGLE,
    PORTFOLIO,
    POSITION,
    POSITION_END,
    POSITION_MULTI,
    POSITION_MULTI_END,
    REAL_TIME_BAR,
    RECEIVE_FA,
    REPLACE_FA_END,
    REROUTE_MARKET_DATA,
    REROUTE_MARKET_DEPTH,
    SCANNER_DATA,
    SCANNER_PARAMETERS,
    SMART_COMPONENTS,
    SNAPSHOT_END,
    SOFT_DOLLAR_TIERS,
    SYMBOL_SAMPLES,
    TICK_BY_TICK,
    TICK_EFP,
    TICK_GENERIC,
    TICK_NEWS,
    TICK_OPTION,
    TICK_PRICE,
    TICK_REQUEST_PARAMETERS,
    TICK_SIZE,
    TICK_STRING,
    USER_INFO,
    VERIFY_AND_AUTH_COMPLETED,
    VERIFY_AND_AUTH_MESSAGE,
    VERIFY_COMPLETED,
    VERIFY_MESSAGE,
    WSH_EVENT_DATA,
    WSH_META_DATA,
)
BY_ID: dict[int, Message] = {message.id: message for message in MESSAGES}


def encode(message: Message, values: Values, version: int) -> bytes:
    """Return the frame of one message. Raises LayoutError when a value has no field or no form on the wire."""
    return frame((str(message.id), *write(message.layout, values, version, message.known)))


def read_answer(fields: list[str], version: int) -> tuple[Message, Row]:
    """Return what these fields say. Raises LayoutError when they do not fit their message, or it is unknown."""
    message = BY_ID.get(int(fields[0])) if fields and fields[0].isdecimal() and len(fields[0]) < 9 else None
    if message is None:
        raise LayoutError(f"message id {(fields or [''])[0][:40]!r} is not one of an answer")
    return message, read(message.layout, fields[1:], version)


def tick_price(request_id: int, tick_type: int, price: Decimal, size: int) -> bytes:
    """Return `encode(TICK_PRICE, ...)`, five times as fast: most of what a gateway sends is this."""
    return _ascii_frame(f"1\x006\x00{request_id}\x00{tick_type}\x00{text(price)}\x00{size}\x000\x00")


def tick_value(request_id: int, tick_type: int, value: int | str) -> bytes:
    """Return `encode(TICK_SIZE, ...)` for a number, `encode(TICK_STRING, ...)` for a text, fast."""
    message_id = "2" if isinstance(value, int) else "46"
    return _ascii_frame(f"{message_id}\x006\x00{request_id}\x00{tick_type}\x00{value}\x00")


def _ascii_frame(fields: str) -> bytes:
    return LENGTH.pack(len(fields)) + fields.encode("ascii")


def error(request_id: int, code: int, message: str, version: int) -> bytes:
    """Return an error or notice; `request_id` is an order id, a request id, or -1 for the session."""
    return encode(ERROR, {"id": request_id, "code": code, "text": message}, version)
