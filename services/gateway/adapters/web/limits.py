"""How often IBKR lets each endpoint be asked.

Source: "Pacing limitations" of https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/. Who exceeds them gets
status 429, and his address is shut out for ten minutes. `gateway.budget` paces all requests together.
"""

from collections.abc import Mapping
from types import MappingProxyType

REQUESTS_PER_SECOND = 8
"""Over all endpoints. IBKR allows one user of the Client Portal Gateway ten; some take longer to arrive than others."""

HISTORY_AT_ONCE = 5
"""Requests of /iserver/marketdata/history under way; one more is answered with 429."""

SECONDS_BETWEEN: Mapping[str, float] = MappingProxyType(
    {
        "live_orders": 5.0,  # /iserver/account/orders
        "trades": 5.0,  # /iserver/account/trades
        "account_profit_and_loss": 5.0,  # /iserver/account/pnl/partitioned
        "portfolio_accounts": 5.0,  # /portfolio/accounts
        "market_scanner": 1.0,  # /iserver/scanner/run
        "scanner_parameters": 900.0,  # /iserver/scanner/params
        "tickle": 1.0,  # /tickle
    }
)
"""By ibind's name of the request."""


class EndpointLimits:
    """When each request may go; times are in seconds of any clock that only rises.

    Counted from the answer, since IBKR counts from when it received the request, some time between the two.
    """

    def __init__(self) -> None:
        self._free_at: dict[str, float] = {}

    def wait(self, name: str, now: float) -> float:
        """Seconds until a request may be sent."""
        return max(self._free_at.get(name, now) - now, 0.0)

    def answered(self, name: str, now: float) -> None:
        """A request has been answered, or given up."""
        if name in SECONDS_BETWEEN:
            self._free_at[name] = now + SECONDS_BETWEEN[name]
