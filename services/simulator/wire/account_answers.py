"""Answers about the session, accounts and positions."""

from services.simulator.wire.layout import Field
from services.simulator.wire.message import message, rows
from services.simulator.wire.parts import CONTRACT

ERROR = message(4, "error", "_version=2 id code text", Field("advanced_order_reject", since=166))
NEXT_VALID_ID = message(9, "nextValidId", "_version=1 order_id")
MANAGED_ACCOUNTS = message(15, "managedAccounts", "_version=1 accounts")
CURRENT_TIME = message(49, "currentTime", "_version=1 time")
USER_INFO = message(107, "userInfo", "request_id white_branding_id")
VERIFY_MESSAGE = message(65, "verifyMessageAPI", "_version=1 api_data")
VERIFY_COMPLETED = message(66, "verifyCompleted", "_version=1 successful error_text")
VERIFY_AND_AUTH_MESSAGE = message(69, "verifyAndAuthMessageAPI", "_version=1 api_data xyz_challenge")
VERIFY_AND_AUTH_COMPLETED = message(70, "verifyAndAuthCompleted", "_version=1 successful error_text")

ACCOUNT_VALUE = message(6, "updateAccountValue", "_version=2 key value currency account")
PORTFOLIO = message(
    7,
    "updatePortfolio",
    "_version=8 con_id symbol sec_type expiry strike right multiplier primary_exchange currency local_symbol "
    "trading_class position market_price market_value average_cost unrealized_pnl realized_pnl account",
)
ACCOUNT_TIME = message(8, "updateAccountTime", "_version=1 time")
ACCOUNT_DOWNLOAD_END = message(54, "accountDownloadEnd", "_version=1 account")
POSITION = message(61, "position", "_version=3 account", CONTRACT, "position average_cost")
POSITION_END = message(62, "positionEnd", "_version=1")
ACCOUNT_SUMMARY = message(63, "accountSummary", "_version=1 request_id account tag value currency")
ACCOUNT_SUMMARY_END = message(64, "accountSummaryEnd", "_version=1 request_id")
POSITION_MULTI = message(
    71, "positionMulti", "_version=1 request_id account", CONTRACT, "position average_cost model_code"
)
POSITION_MULTI_END = message(72, "positionMultiEnd", "_version=1 request_id")
ACCOUNT_UPDATE_MULTI = message(73, "accountUpdateMulti", "_version=1 request_id account model_code key value currency")
ACCOUNT_UPDATE_MULTI_END = message(74, "accountUpdateMultiEnd", "_version=1 request_id")
PNL = message(94, "pnl", "request_id daily unrealized realized")
PNL_SINGLE = message(95, "pnlSingle", "request_id position# daily unrealized realized value")
RECEIVE_FA = message(16, "receiveFA", "_version=1 data_type xml")
REPLACE_FA_END = message(103, "replaceFAEnd", "request_id text")
SOFT_DOLLAR_TIERS = message(77, "softDollarTiers", "request_id", rows("tiers", "name value display_name"))
FAMILY_CODES = message(78, "familyCodes", rows("codes", "account family_code"))
