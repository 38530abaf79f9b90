"""Answers with market data: ticks, bars, depth, and historical data.

`#` marks sizes, which clients of old versions can read only as whole numbers.
"""

from services.simulator.wire.layout import Choice, names
from services.simulator.wire.message import message, rows

_LAST = names("price size# mask=0 exchange special_conditions")

TICK_PRICE = message(1, "tickPrice", "_version=6 request_id tick_type price size#=0 attributes=0")
TICK_SIZE = message(2, "tickSize", "_version=6 request_id tick_type size#")
TICK_OPTION = message(
    21,
    "tickOptionComputation",
    "request_id tick_type tick_attribute=0 implied_volatility=-1 delta=-2 option_price=-1 dividends=-1 gamma=-2 "
    "vega=-2 theta=-2 under_price=-1",
)
TICK_GENERIC = message(45, "tickGeneric", "_version=6 request_id tick_type value=0")
TICK_STRING = message(46, "tickString", "_version=6 request_id tick_type value")
TICK_EFP = message(
    47,
    "tickEFP",
    "_version=6 request_id tick_type basis_points=0 formatted_basis_points implied_futures_price=0 hold_days=0 "
    "future_expiry dividend_impact=0 dividends_to_expiry=0",
)
SNAPSHOT_END = message(57, "tickSnapshotEnd", "_version=1 request_id")
MARKET_DATA_TYPE = message(58, "marketDataType", "_version=1 request_id market_data_type")
TICK_REQUEST_PARAMETERS = message(81, "tickReqParams", "request_id min_tick bbo_exchange snapshot_permissions=3")
TICK_BY_TICK = message(
    99,
    "tickByTick",
    "request_id tick_type time",
    (
        Choice(
            "tick_type",
            {
                "1": _LAST,
                "2": _LAST,
                "3": names("bid_price ask_price bid_size# ask_size# mask=0"),
                "4": names("mid_point"),
            },
        ),
    ),
)
MARKET_DEPTH = message(12, "updateMktDepth", "_version=1 request_id position operation side price size#")
MARKET_DEPTH_L2 = message(
    13, "updateMktDepthL2", "_version=1 request_id position market_maker operation side price size# smart_depth=0"
)
REAL_TIME_BAR = message(50, "realtimeBar", "_version=3 request_id time open high low close volume# average count=0")
HISTORICAL_DATA = message(
    17, "historicalData", "request_id start end", rows("bars", "date open high low close volume# average count=0")
)
HISTORICAL_DATA_UPDATE = message(
    90, "historicalDataUpdate", "request_id count=0 date open close high low average volume#"
)
HISTORICAL_TICKS = message(96, "historicalTicks", "request_id", rows("ticks", "time unused=0 price size#"), "done=1")
HISTORICAL_TICKS_BID_ASK = message(
    97,
    "historicalTicksBidAsk",
    "request_id",
    rows("ticks", "time mask=0 bid_price ask_price bid_size# ask_size#"),
    "done=1",
)
HISTORICAL_TICKS_LAST = message(
    98,
    "historicalTicksLast",
    "request_id",
    rows("ticks", "time mask=0 price size# exchange special_conditions"),
    "done=1",
)
HISTORICAL_SCHEDULE = message(
    106, "historicalSchedule", "request_id start end time_zone", rows("sessions", "start end reference_date")
)
HEAD_TIMESTAMP = message(88, "headTimestamp", "request_id timestamp")
HISTOGRAM = message(89, "histogramData", "request_id", rows("points", "price count#"))
REROUTE_MARKET_DATA = message(91, "rerouteMktDataReq", "request_id con_id exchange")
REROUTE_MARKET_DEPTH = message(92, "rerouteMktDepthReq", "request_id con_id exchange")
