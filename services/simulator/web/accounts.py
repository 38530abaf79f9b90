"""Accounts, balances, positions and profit, read from the engine."""

from decimal import Decimal

from services.simulator.core.instruments import SecurityType
from services.simulator.core.valuation import PositionValue, Valuation
from services.simulator.present.accounts import AccountValue, all_values
from services.simulator.web.call import Call, Handler, WebError, whole
from services.simulator.web.portal import Portal

PAGE = 100
"""Positions per page (IBKR, "Positions": at most 100)."""
_LEDGER_NAMES = {
    "CashBalance": "cashbalance",
    "NetLiquidationByCurrency": "netliquidationvalue",
    "StockMarketValue": "stockmarketvalue",
    "OptionMarketValue": "stockoptionmarketvalue",
    "FuturesPNL": "futuresonlypnl",
    "UnrealizedPnL": "unrealizedpnl",
    "RealizedPnL": "realizedpnl",
    "ExchangeRate": "exchangerate",
}


class AccountPaths:
    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._engine = portal.engine

    def valuation(self, call: Call) -> Valuation:
        """Return the account of the path. Raises WebError 400 if there is none such."""
        account_id = call.path["account"]
        if account_id not in self._engine.accounts:
            raise WebError(400, f"Bad Request: unknown account {account_id[:20]}")
        return self._engine.valuation(account_id)

    async def brokerage(self, _: Call) -> object:
        self._portal.accounts_read = True
        return self.act()

    def act(self) -> dict[str, object]:
        """Return what `/iserver/accounts` says, and the stream's topic `act`."""
        ids = list(self._engine.accounts)
        return {
            "accounts": ids,
            "acctProps": {one: {"hasChildAccounts": False, "supportsCashQty": False, "noFXConv": True} for one in ids},
            "aliases": {one: one for one in ids},
            "allowFeatures": {"showGFIS": True, "allowFXConv": False, "snapshot": True, "allowTypeAhead": True},
            "chartPeriods": {kind: ["*"] for kind in ("STK", "OPT", "FUT", "CASH", "IND")},
            "groups": [],
            "profiles": [],
            "selectedAccount": ids[0],
            "serverInfo": self._portal.status()["serverInfo"],
            "sessionId": self._portal.session_id,
            "isFT": False,
            "isPaper": ids[0].startswith("D"),
        }

    async def portfolio(self, _: Call) -> object:
        return [
            {
                "id": one,
                "accountId": one,
                "accountVan": one,
                "accountTitle": "",
                "displayName": one,
                "accountAlias": None,
                "accountStatus": 1_262_563_200_000,
                "currency": "USD",
                "type": "DEMO" if one.startswith("D") else "INDIVIDUAL",
                "tradingType": "STKNOPT",
                "faclient": False,
                "clearingStatus": "O",
                "parent": {"accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
                "desc": one,
            }
            for one in self._engine.accounts
        ]

    async def select(self, call: Call) -> object:
        """Assumed: any account of the log-in can be selected; nothing here depends on it."""
        account_id = str(call.body.get("acctId", ""))
        if account_id not in self._engine.accounts:
            raise WebError(400, f"Bad Request: unknown account {account_id[:20]}")
        return {"set": True, "acctId": account_id}

    async def summary(self, call: Call) -> object:
        found = self.summary_values(self.valuation(call))
        return {value.key.lower(): self._summary_entry(value) for value in found}

    def summary_values(self, valuation: Valuation) -> list[AccountValue]:
        """Return what is not kept per currency."""
        values = list(all_values(valuation))
        return values[: next(index for index, value in enumerate(values) if value.key == "Currency")]

    def _summary_entry(self, value: AccountValue) -> dict[str, object]:
        monetary = bool(value.currency)
        return {
            "amount": float(value.value) if monetary else 0.0,
            "currency": value.currency or None,
            "isNull": False,
            "timestamp": self.milliseconds(),
            "value": None if monetary else value.value,
            "severity": 0,
        }

    async def ledger(self, call: Call) -> object:
        return self.ledger_of(self.valuation(call))

    def ledger_of(self, valuation: Valuation) -> dict[str, dict[str, object]]:
        """Return the balances by currency; BASE is all of them, in USD."""
        found: dict[str, dict[str, object]] = {}
        for value in all_values(valuation):
            if value.key == "Currency":
                found[value.value] = {
                    "acctcode": valuation.account_id,
                    "currency": value.value,
                    "key": "LedgerList",
                    "secondkey": value.value,
                    "timestamp": self.milliseconds() // 1000,
                    "severity": 0,
                }
            elif value.key in _LEDGER_NAMES and value.currency in found:
                found[value.currency][_LEDGER_NAMES[value.key]] = float(value.value)
            if value.key == "CashBalance" and value.currency in found:
                found[value.currency]["settledcash"] = float(value.value)
        return found

    async def positions(self, call: Call) -> object:
        held = [item for item in self.valuation(call).positions if item.position.quantity]
        first = whole("pageId", call.path["page"]) * PAGE
        return [self._position(call.path["account"], item) for item in held[first : first + PAGE]]

    async def invalidate(self, call: Call) -> object:
        self.valuation(call)
        return {"message": "success"}

    def _position(self, account_id: str, item: PositionValue) -> dict[str, object]:
        found, held = item.instrument, item.position
        average = held.average_cost
        return {
            "acctId": account_id,
            "conid": found.contract_id,
            "contractDesc": found.local_symbol,
            "position": float(held.quantity),
            "mktPrice": float(item.price),
            "mktValue": float(item.market_value),
            "currency": found.currency,
            "avgCost": float(round(average, 8)),
            "avgPrice": float(round(average / found.multiplier, 8)),
            "realizedPnl": float(held.realized),
            "unrealizedPnl": float(item.unrealized),
            "expiry": f"{found.expiry:%Y%m%d}" if found.expiry else None,
            "putOrCall": found.right or None,
            "multiplier": float(found.multiplier) if found.expiry else 0.0,
            "strike": float(found.strike),
            "exerciseStyle": "A" if found.security_type is SecurityType.OPTION else None,
            "assetClass": str(found.security_type),
            "undConid": found.underlying_id,
            "ticker": found.symbol,
            "model": "",
        }

    async def profit(self, _: Call) -> object:
        return {"upnl": self.profits()}

    def profits(self) -> dict[str, dict[str, object]]:
        """Return each account's profit of the day, open profit and worth, under `ACCOUNT.Core`."""
        return {f"{one}.Core": _profit(self._engine.valuation(one)) for one in self._engine.accounts}

    def milliseconds(self) -> int:
        return int(self._engine.now.timestamp() * 1000)

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/iserver/accounts", self.brokerage),
            ("POST", "/iserver/account", self.select),
            ("GET", "/iserver/account/pnl/partitioned", self.profit),
            ("GET", "/portfolio/accounts", self.portfolio),
            ("GET", "/portfolio/{account}/summary", self.summary),
            ("GET", "/portfolio/{account}/ledger", self.ledger),
            ("GET", "/portfolio/{account}/positions/{page}", self.positions),
            ("POST", "/portfolio/{account}/positions/invalidate", self.invalidate),
        ]


def _profit(valuation: Valuation) -> dict[str, object]:
    def amount(value: Decimal) -> float:
        return float(round(value, 2))

    return {
        "rowType": 1,
        "dpl": amount(valuation.daily),
        "nl": amount(valuation.net_liquidation),
        "upl": amount(valuation.unrealized),
        "el": amount(valuation.excess_liquidity),
        "uel": amount(valuation.excess_liquidity),
        "mv": amount(valuation.gross_position_value),
    }
