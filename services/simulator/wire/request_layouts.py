"""Client to server: the layout of every request of the TWS API, at every version.

A layout begins after the message id; a field called `_version` is the message's own, obsolete version number. The
defaults are for whoever writes requests: a client always sends every field.
"""

from services.simulator.wire.layout import Field, Layout, names
from services.simulator.wire.order_request import PLACE_ORDER
from services.simulator.wire.parts import DATA_LEGS, DELTA_NEUTRAL_CONTRACT, REQUEST_CONTRACT


def _fields(head: str, tail: str = "") -> Layout:
    """Return a layout: fields, or fields, a contract, and fields."""
    return (*names(head), *REQUEST_CONTRACT, *names(tail)) if tail else names(head)


_ONLY_VERSION = names("_version=1")
_CANCEL = names("_version=1 request_id")
_CANCEL_SHORT = names("request_id")
_CALCULATION = "under_price option_count=0 options"

REQUESTS: dict[int, tuple[str, Layout]] = {
    1: (
        "reqMktData",
        (
            *names("_version=11 request_id"),
            *REQUEST_CONTRACT,
            DATA_LEGS,
            *DELTA_NEUTRAL_CONTRACT,
            *names("generic_ticks snapshot=0 regulatory_snapshot=0 options"),
        ),
    ),
    2: ("cancelMktData", names("_version=2 request_id")),
    3: ("placeOrder", PLACE_ORDER),
    4: ("cancelOrder", (*names("_version=1 order_id"), Field("manual_cancel_order_time", since=169))),
    5: ("reqOpenOrders", _ONLY_VERSION),
    6: ("reqAccountUpdates", names("_version=2 subscribe=1 account")),
    7: (
        "reqExecutions",
        names("_version=3 request_id client_id=0 account time symbol sec_type exchange side"),
    ),
    8: ("reqIds", names("_version=1 count=1")),
    9: (
        "reqContractDetails",
        (
            *_fields("_version=8 request_id", "include_expired=0 sec_id_type sec_id"),
            Field("issuer_id", since=176),
        ),
    ),
    10: ("reqMktDepth", _fields("_version=5 request_id", "rows=5 smart_depth=0 options")),
    11: ("cancelMktDepth", names("_version=1 request_id smart_depth=0")),
    12: ("reqNewsBulletins", names("_version=1 all_messages=1")),
    13: ("cancelNewsBulletins", _ONLY_VERSION),
    14: ("setServerLogLevel", names("_version=1 level")),
    15: ("reqAutoOpenOrders", names("_version=1 auto_bind=1")),
    16: ("reqAllOpenOrders", _ONLY_VERSION),
    17: ("reqManagedAccts", _ONLY_VERSION),
    18: ("requestFA", names("_version=1 data_type")),
    19: ("replaceFA", names("_version=1 data_type xml request_id")),
    20: (
        "reqHistoricalData",
        (
            *_fields(
                "request_id", "include_expired=0 end bar_size duration use_rth=1 what_to_show=TRADES format_date=1"
            ),
            DATA_LEGS,
            *names("keep_up_to_date=0 chart_options"),
        ),
    ),
    21: (
        "exerciseOptions",
        names(
            "_version=2 request_id con_id symbol sec_type expiry strike right multiplier exchange currency "
            "local_symbol trading_class exercise_action exercise_quantity account override=0"
        ),
    ),
    22: (
        "reqScannerSubscription",
        names(
            "request_id rows instrument location_code scan_code above_price below_price above_volume "
            "market_cap_above market_cap_below moody_rating_above moody_rating_below sp_rating_above sp_rating_below "
            "maturity_date_above maturity_date_below coupon_rate_above coupon_rate_below exclude_convertible "
            "average_option_volume_above setting_pairs stock_type_filter filter_options subscription_options"
        ),
    ),
    23: ("cancelScannerSubscription", _CANCEL),
    24: ("reqScannerParameters", _ONLY_VERSION),
    25: ("cancelHistoricalData", _CANCEL),
    49: ("reqCurrentTime", _ONLY_VERSION),
    50: (
        "reqRealTimeBars",
        _fields("_version=3 request_id", "bar_size=5 what_to_show=TRADES use_rth=1 options"),
    ),
    51: ("cancelRealTimeBars", _CANCEL),
    52: (
        "reqFundamentalData",
        names(
            "_version=2 request_id con_id symbol sec_type exchange primary_exchange currency local_symbol report_type "
            "option_count=0 options"
        ),
    ),
    53: ("cancelFundamentalData", _CANCEL),
    54: (
        "calculateImpliedVolatility",
        _fields("_version=3 request_id", f"option_price {_CALCULATION}"),
    ),
    55: ("calculateOptionPrice", _fields("_version=3 request_id", f"volatility {_CALCULATION}")),
    56: ("cancelCalculateImpliedVolatility", _CANCEL),
    57: ("cancelCalculateOptionPrice", _CANCEL),
    58: ("reqGlobalCancel", _ONLY_VERSION),
    59: ("reqMarketDataType", names("_version=1 market_data_type")),
    61: ("reqPositions", _ONLY_VERSION),
    62: ("reqAccountSummary", names("_version=1 request_id group tags")),
    63: ("cancelAccountSummary", _CANCEL),
    64: ("cancelPositions", _ONLY_VERSION),
    65: ("verifyRequest", names("_version=1 api_name api_version")),
    66: ("verifyMessage", names("_version=1 api_data")),
    67: ("queryDisplayGroups", _CANCEL),
    68: ("subscribeToGroupEvents", names("_version=1 request_id group_id")),
    69: ("updateDisplayGroup", names("_version=1 request_id contract_info")),
    70: ("unsubscribeFromGroupEvents", _CANCEL),
    71: ("startApi", names("_version=2 client_id optional_capabilities")),
    72: ("verifyAndAuthRequest", names("_version=1 api_name api_version opaque_isv_key")),
    73: ("verifyAndAuthMessage", names("_version=1 api_data xyz_response")),
    74: ("reqPositionsMulti", names("_version=1 request_id account model_code")),
    75: ("cancelPositionsMulti", _CANCEL),
    76: (
        "reqAccountUpdatesMulti",
        names("_version=1 request_id account model_code ledger_and_nlv"),
    ),
    77: ("cancelAccountUpdatesMulti", _CANCEL),
    78: (
        "reqSecDefOptParams",
        names("request_id symbol fut_fop_exchange under_sec_type under_con_id"),
    ),
    79: ("reqSoftDollarTiers", _CANCEL_SHORT),
    80: ("reqFamilyCodes", ()),
    81: ("reqMatchingSymbols", names("request_id pattern")),
    82: ("reqMktDepthExchanges", ()),
    83: ("reqSmartComponents", names("request_id bbo_exchange")),
    84: ("reqNewsArticle", names("request_id provider article_id options")),
    85: ("reqNewsProviders", ()),
    86: ("reqHistoricalNews", names("request_id con_id providers start end total options")),
    87: (
        "reqHeadTimeStamp",
        _fields("request_id", "include_expired=0 use_rth=1 what_to_show=TRADES format_date=1"),
    ),
    88: ("reqHistogramData", _fields("request_id", "include_expired=0 use_rth=1 period")),
    89: ("cancelHistogramData", _CANCEL_SHORT),
    90: ("cancelHeadTimeStamp", _CANCEL_SHORT),
    91: ("reqMarketRule", names("market_rule_id")),
    92: ("reqPnL", names("request_id account model_code")),
    93: ("cancelPnL", _CANCEL_SHORT),
    94: ("reqPnLSingle", names("request_id account model_code con_id")),
    95: ("cancelPnLSingle", _CANCEL_SHORT),
    96: (
        "reqHistoricalTicks",
        _fields("request_id", "include_expired=0 start end count what_to_show use_rth=1 ignore_size=0 options"),
    ),
    97: ("reqTickByTickData", _fields("request_id", "tick_type count=0 ignore_size=0")),
    98: ("cancelTickByTickData", _CANCEL_SHORT),
    99: ("reqCompletedOrders", names("api_only=0")),
    100: ("reqWshMetaData", _CANCEL_SHORT),
    101: ("cancelWshMetaData", _CANCEL_SHORT),
    102: (
        "reqWshEventData",
        (
            *names("request_id con_id"),
            *(Field(name, since=171) for name in ("filter", "fill_watchlist", "fill_portfolio", "fill_competitors")),
            *(Field(name, since=173) for name in ("start_date", "end_date", "total_limit")),
        ),
    ),
    103: ("cancelWshEventData", _CANCEL_SHORT),
    104: ("reqUserInfo", _CANCEL_SHORT),
}
"""Name, as clients call it, and layout of every request, by message id."""
