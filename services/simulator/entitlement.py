"""What market data a client may have of an instrument, and how TWS says so.

The texts and codes are those of captured sessions (codes 354, 10089, 10167, 10168, 10197): without a
subscription TWS refuses with 354, or with 10089 when delayed data exist; with reqMarketDataType 3 or 4 it warns with
10167 and sends delayed data, or refuses with 10168 when delayed data are switched off.
"""

from dataclasses import dataclass
from enum import StrEnum

_DELAYED_TYPES = (3, 4)


class Access(StrEnum):
    """The state of the account's market data subscriptions."""

    LIVE = "live"
    DELAYED = "delayed"
    """No live subscription; delayed data after reqMarketDataType 3 or 4, else 10089."""
    NOT_SUBSCRIBED = "not-subscribed"
    """No live subscription and no delayed data for this instrument: 354."""
    DELAYED_OFF = "delayed-off"
    """No live subscription; delayed data are not enabled: 10168."""
    COMPETING = "competing"
    """Another session of the same user receives the data: 10197."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`code` 0 means nothing is said; when `delivers` is false a request ends with the code."""

    delivers: bool = True
    delayed: bool = False
    code: int = 0
    text: str = ""


LIVE = Entitlement()
COMPETING = Entitlement(delivers=False, code=10197, text="No market data during competing live session")
_NOT_SUBSCRIBED = Entitlement(
    delivers=False,
    code=354,
    text="Requested market data is not subscribed. Delayed market data is not available.",
)
_DELAYED_OFF = Entitlement(
    delivers=False,
    code=10168,
    text="Requested market data is not subscribed. Delayed market data is not enabled.",
)


def entitlement(access: Access, market_data_type: int, symbol: str, exchange: str) -> Entitlement:
    """Return what a client that asked for `market_data_type` gets of one instrument."""
    match access:
        case Access.LIVE:
            return LIVE
        case Access.NOT_SUBSCRIBED:
            return _NOT_SUBSCRIBED
        case Access.DELAYED_OFF:
            return _DELAYED_OFF
        case Access.COMPETING:
            return COMPETING
        case Access.DELAYED:
            return _delayed(market_data_type, symbol, exchange)


def _delayed(market_data_type: int, symbol: str, exchange: str) -> Entitlement:
    if market_data_type in _DELAYED_TYPES:
        text = "Requested market data is not subscribed. Displaying delayed market data."
        return Entitlement(delayed=True, code=10167, text=text)
    text = (
        "Requested market data requires additional subscription for API. See link in 'Market Data Connections' "
        f"dialog for more details.Delayed market data is available.{symbol} {exchange}/TOP/ALL"
    )
    return Entitlement(delivers=False, code=10089, text=text)
