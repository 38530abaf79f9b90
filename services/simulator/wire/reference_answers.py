"""Answers about instruments and what is known of them: contract details, option chains, rules, scanner and news."""

from services.simulator.wire.layout import Field, Layout, names
from services.simulator.wire.message import message, rows
from services.simulator.wire.parts import TAG_VALUES

_SIZES: Layout = (
    Field("min_size", since=164, default="1"),
    Field("size_increment", since=164, default="1"),
    Field("suggested_size_increment", since=163, default="100"),
)

CONTRACT_DETAILS = message(
    10,
    "contractDetails",
    Field("_version", until=164, default="8"),
    "request_id symbol sec_type last_trade_date strike=0 right exchange currency local_symbol market_name "
    "trading_class con_id min_tick",
    Field("market_data_size_multiplier", until=164, default="100"),
    "multiplier order_types valid_exchanges price_magnifier=1 under_con_id=0 long_name primary_exchange "
    "contract_month industry category subcategory time_zone trading_hours liquid_hours ev_rule ev_multiplier",
    rows("security_ids", TAG_VALUES),
    "aggregated_group=1 under_symbol under_sec_type market_rule_ids real_expiration_date stock_type=COMMON",
    _SIZES,
)
BOND_CONTRACT_DETAILS = message(
    18,
    "bondContractDetails",
    Field("_version", until=164, default="6"),
    "request_id symbol sec_type cusip coupon#=0 maturity issue_date ratings bond_type coupon_type convertible=0 "
    "callable=0 putable=0 description_append exchange currency market_name trading_class con_id min_tick",
    Field("market_data_size_multiplier", until=164, default="100"),
    "order_types valid_exchanges next_option_date next_option_type next_option_partial=0 notes long_name ev_rule "
    "ev_multiplier",
    rows("security_ids", TAG_VALUES),
    "aggregated_group=1 market_rule_ids",
    (_SIZES[0], _SIZES[1], Field("suggested_size_increment", since=164, default="100")),
)
CONTRACT_DETAILS_END = message(52, "contractDetailsEnd", "_version=1 request_id")
OPTION_PARAMETERS = message(
    75,
    "securityDefinitionOptionParameter",
    "request_id exchange under_con_id trading_class multiplier",
    rows("expirations", "expiry"),
    rows("strikes", "strike"),
)
OPTION_PARAMETERS_END = message(76, "securityDefinitionOptionParameterEnd", "request_id")
SYMBOL_SAMPLES = message(
    79,
    "symbolSamples",
    "request_id",
    rows(
        "contracts",
        (
            *names("con_id symbol sec_type primary_exchange currency"),
            rows("derivative_types", "sec_type"),
            Field("description", since=176),
            Field("issuer_id", since=176),
        ),
    ),
)
DEPTH_EXCHANGES = message(
    80,
    "mktDepthExchanges",
    rows("exchanges", "exchange sec_type listing_exchange service_data_type aggregated_group=1"),
)
SMART_COMPONENTS = message(82, "smartComponents", "request_id", rows("components", "bit_number exchange letter"))
MARKET_RULE = message(93, "marketRule", "market_rule_id", rows("increments", "low_edge increment"))
SCANNER_PARAMETERS = message(19, "scannerParameters", "_version=1 xml")
SCANNER_DATA = message(
    20,
    "scannerData",
    "_version=3 request_id",
    rows(
        "rows",
        "rank con_id symbol sec_type expiry strike=0 right exchange currency local_symbol market_name trading_class "
        "distance benchmark projection legs",
    ),
)
NEWS_BULLETIN = message(14, "updateNewsBulletin", "_version=1 message_id message_type text exchange")
NEWS_ARTICLE = message(83, "newsArticle", "request_id article_type=0 text")
TICK_NEWS = message(84, "tickNews", "request_id time provider article_id headline extra_data")
NEWS_PROVIDERS = message(85, "newsProviders", rows("providers", "code name"))
HISTORICAL_NEWS = message(86, "historicalNews", "request_id time provider article_id headline")
HISTORICAL_NEWS_END = message(87, "historicalNewsEnd", "request_id has_more=0")
FUNDAMENTAL_DATA = message(51, "fundamentalData", "_version=1 request_id data")
WSH_META_DATA = message(104, "wshMetaData", "request_id data")
WSH_EVENT_DATA = message(105, "wshEventData", "request_id data")
DISPLAY_GROUP_LIST = message(67, "displayGroupList", "_version=1 request_id groups")
DISPLAY_GROUP_UPDATED = message(68, "displayGroupUpdated", "_version=1 request_id contract_info")
