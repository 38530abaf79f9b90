"""The state of the world outside the gateway, and which messages it stops.

As observed: the TCP connection to the client stays up while IBKR cannot be reached; TWS says so with 1100, and
with 1101 or 1102 when it can again. Assumed: orders that clients send meanwhile wait in the gateway (or are lost), what
happens to orders meanwhile is told afterwards (or never), other requests stay unanswered, and what the gateway knows by
itself (ids, accounts, time) it still answers.
"""

from dataclasses import dataclass, field

from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.entitlement import Access, Entitlement, entitlement
from services.simulator.faults.effects import Farm, FarmState, Link
from services.simulator.faults.seen import Seen
from services.simulator.session import ClientSession

FARM_CODES: dict[Farm, tuple[int, int]] = {
    "usfarm": (2103, 2104),
    "cashfarm": (2103, 2104),
    "ushmds": (2105, 2106),
    "secdefnj": (2157, 2158),
}
"""Codes for broken and for connected."""
_FARM_KINDS = {"usfarm": "Market data", "cashfarm": "Market data", "ushmds": "HMDS data", "secdefnj": "Sec-def data"}
_ANNOUNCED: tuple[Farm, ...] = ("usfarm", "ushmds", "secdefnj")
_BROKEN_LINK = "Connectivity between IBKR and Trader Workstation has been lost."
_LINK_DOWN = (2110, "Connectivity between Trader Workstation and server is broken. It will be restored automatically.")
_HISTORY_DOWN = (
    162,
    "Historical Market Data Service error message:HMDS connection attempt failed.  Connection will be re-attempted...",
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


QUOTES = _words(
    "tickPrice tickSize tickString tickGeneric tickEFP tickOptionComputation tickByTick tickNews realtimeBar "
    "updateMktDepth updateMktDepthL2 historicalDataUpdate"
)
"""What comes from a market data farm, without being asked for once more."""
_ORDER_EVENTS = frozenset({"openOrder", "orderStatus", "execDetails", "commissionReport", "completedOrder"})
_OF_HISTORY = frozenset({"reqHistoricalData", "reqHistoricalTicks", "reqHeadTimeStamp", "reqHistogramData"})
_OF_CONTRACTS = frozenset({"reqContractDetails", "reqSecDefOptParams", "reqMatchingSymbols"})
ORDERS = frozenset({"placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions"})
_LOCAL = _words("startApi reqIds reqManagedAccts setServerLogLevel reqCurrentTime reqAutoOpenOrders reqMarketDataType")

_PUSHED = _words(
    "updateAccountValue updatePortfolio updateAccountTime position positionMulti accountSummary accountUpdateMulti "
    "pnl pnlSingle"
)
"""What is sent whenever it changes."""


@dataclass(slots=True)
class World:
    """What is broken now. Fresh: nothing."""

    down: set[Farm] = field(default_factory=set[Farm])
    link: Link | None = None
    access: dict[str, Access] = field(default_factory=dict[str, Access])
    """By symbol; an empty symbol stands for all others."""
    skew: float = 0

    @property
    def sound(self) -> bool:
        """True if no message has to be looked at on account of the world."""
        return not (self.down or self.link or self.skew) and Access.COMPETING not in self.access.values()

    def notices(self) -> list[tuple[int, str]]:
        """What a client is told when it connects."""
        if self.link is not None:
            return [_LINK_DOWN]
        return [farm_notice(farm, farm not in self.down) for farm in _ANNOUNCED]

    def access_of(self, symbol: str) -> Access:
        return self.access.get(symbol, self.access.get("", Access.LIVE))

    def silences(self, seen: Seen) -> bool:
        """True if a quote does not arrive."""
        if seen.name not in QUOTES:
            return False
        line = seen.instrument
        farm: Farm = "cashfarm" if line is not None and line.security_type is SecurityType.CURRENCY else "usfarm"
        if seen.name == "historicalDataUpdate":
            farm = "ushmds"
        competing = self.access_of(line.symbol if line is not None else "") is Access.COMPETING
        return farm in self.down or self.link is not None or competing

    def withholds(self, seen: Seen) -> bool:
        """True if a message about orders or accounts cannot come before the link is restored."""
        if self.link is None or seen.name in QUOTES:
            return False
        return seen.name in _ORDER_EVENTS or seen.name in _PUSHED or (seen.name == "error" and seen.order is not None)

    def keeps(self, seen: Seen) -> bool:
        """True if a withheld message is delivered when the link is restored."""
        about_order = seen.name in _ORDER_EVENTS or seen.name == "error"
        return self.link is None or not about_order or self.link.events == "held"

    def unanswered(self, seen: Seen) -> bool:
        """True if a request goes to a place that cannot be reached now."""
        if self.link is not None:
            return (seen.name not in _LOCAL and not seen.name.startswith("cancel")) or seen.name == "cancelOrder"
        return (seen.name in _OF_HISTORY and "ushmds" in self.down) or (
            seen.name in _OF_CONTRACTS and "secdefnj" in self.down
        )

    def queues(self, seen: Seen) -> bool:
        """True if an unanswered request is carried out when the link is restored."""
        return self.link is not None and seen.name in ORDERS and self.link.orders == "queued"

    def refusal(self, seen: Seen) -> tuple[int, str] | None:
        """Return the error that an unreachable IBKR is answered with, None if the request is not refused."""
        if not self.unanswered(seen):
            return None
        if self.link is None:
            return _HISTORY_DOWN if seen.name in _OF_HISTORY else None
        what = self.link.orders if seen.name in ORDERS else self.link.requests
        return (504, "Not connected") if what == "refused" else None

    def entitlement(self, session: ClientSession, instrument: Instrument) -> Entitlement:
        access = self.access_of(instrument.symbol)
        return entitlement(access, session.market_data_type, instrument.symbol, instrument.primary_exchange)

    def change_farm(self, change: FarmState) -> tuple[int, str]:
        """Return what TWS says about it."""
        (self.down.discard if change.up else self.down.add)(change.farm)
        return farm_notice(change.farm, change.up)


def farm_notice(farm: Farm, up: bool) -> tuple[int, str]:
    broken, connected = FARM_CODES[farm]
    return (connected if up else broken), f"{_FARM_KINDS[farm]} farm connection is {'OK' if up else 'broken'}:{farm}"


def link_notice(change: Link) -> tuple[int, str]:
    if not change.up:
        return 1100, _BROKEN_LINK
    start = "Connectivity between IBKR and Trader Workstation has been restored"
    farms = "All data farms are connected: usfarm; ushmds; secdefnj."
    if change.data_lost:
        return 1101, f"{start} - data lost. {farms}"
    return 1102, f"{start} - data maintained. {farms}"
