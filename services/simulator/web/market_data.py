"""Snapshots of market data. The first one of a contract only opens its line, as IBKR's does ("pre-flight")."""

from services.simulator.web.call import Call, Handler, WebError
from services.simulator.web.market_lines import AVAILABILITY, Line, MarketLines
from services.simulator.web.portal import Portal


class MarketDataPaths:
    def __init__(self, portal: Portal, lines: MarketLines) -> None:
        self._portal = portal
        self._lines = lines

    async def snapshot(self, call: Call) -> object:
        self._portal.primed_accounts()
        wanted = [name for name in call.query.get("fields", "").split(",") if name]
        return [self._row(contract_id, wanted) for contract_id in call.conids()]

    def _row(self, contract_id: int, wanted: list[str]) -> dict[str, object]:
        line, opened = self._lines.open(contract_id)
        row: dict[str, object] = {"conidEx": str(contract_id), "conid": contract_id}
        fresh = opened or not line.asked
        line.asked = True
        if line.refused:
            return {**row, AVAILABILITY: self._lines.values(line)[AVAILABILITY]}
        if fresh:
            return row
        values = self._lines.values(line)
        names = {AVAILABILITY, *wanted, *(["87_raw"] if "87" in wanted else [])}
        return {**row, **update_of(self._portal, line), **{name: values[name] for name in names if values.get(name)}}

    async def unsubscribe(self, call: Call) -> object:
        contract_id = call.path.get("conid") or call.body.get("conid")
        if not str(contract_id).isdecimal() or not self._lines.close(int(str(contract_id))):
            raise WebError(404, "not found")
        return {"success": True}

    async def unsubscribe_all(self, _: Call) -> object:
        self._lines.close_all()
        return {"unsubscribed": True}

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/iserver/marketdata/snapshot", self.snapshot),
            ("POST", "/iserver/marketdata/unsubscribe", self.unsubscribe),
            ("GET", "/iserver/marketdata/{conid}/unsubscribe", self.unsubscribe),
            ("GET", "/iserver/marketdata/unsubscribeall", self.unsubscribe_all),
        ]


def update_of(portal: Portal, line: Line) -> dict[str, object]:
    """Return what every answer about a line bears besides its fields."""
    server_id = f"q{line.request_id % 1000}"
    return {"_updated": int(portal.engine.now.timestamp() * 1000), "server_id": server_id, "6119": server_id}
