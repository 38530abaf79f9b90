"""Calls about contracts, prices and accounts, for IBKR's own client."""

from typing import Any

from ibapi.scanner import ScannerSubscription
from official_wrapper import Collector

SUMMARY = "AccountType,NetLiquidation,TotalCashValue,BuyingPower,InitMarginReq,MaintMarginReq,$LEDGER:ALL"


class DataCalls:
    """Mixed into a session, which has `app`, `streams`, `contract`, `tags` and `number`."""

    app: Collector
    streams: dict[str, Any]

    def _ask(self, request: Any, *arguments: Any) -> list[Any]:
        number = self.number()
        request(number, *arguments)
        return self.app.wait(number)

    def details(self, contract: dict[str, Any]) -> Any:
        return self._ask(self.app.reqContractDetails, self.contract(contract))

    def symbols(self, pattern: str) -> Any:
        return self._ask(self.app.reqMatchingSymbols, pattern)

    def chain(self, symbol: str, kind: str, number: int) -> Any:
        return self._ask(self.app.reqSecDefOptParams, symbol, "", kind, number)

    def rule(self, number: int) -> Any:
        self.app.reqMarketRule(number)
        return self.app.wait("rule")

    def head(self, contract: dict[str, Any], what: str = "TRADES", regular: bool = True) -> Any:
        found = self._ask(self.app.reqHeadTimeStamp, self.contract(contract), what, int(regular), 1)
        return found[0] if found else []

    def _history(
        self, number: int, contract: dict[str, Any], duration: str = "1 D", size: str = "1 min", what: str = "TRADES",
        regular: bool = True, form: int = 2, end: str = "", live: bool = False,
    ) -> None:  # fmt: skip
        wanted = self.contract(contract)
        self.app.reqHistoricalData(number, wanted, end, duration, size, what, int(regular), form, live, [])

    def history(self, contract: dict[str, Any], **options: Any) -> Any:
        number = self.number()
        self._history(number, contract, **options)
        return self.app.wait(number)

    def ticks(
        self, contract: dict[str, Any], what: str, number: int, start: str = "", end: str = "", regular: bool = True
    ) -> Any:
        wanted = self.contract(contract)
        return self._ask(self.app.reqHistoricalTicks, wanted, start, end, number, what, int(regular), False, [])

    def histogram(self, contract: dict[str, Any], period: str) -> Any:
        return self._ask(self.app.reqHistogramData, self.contract(contract), True, period)

    def data_type(self, kind: int) -> None:
        self.app.reqMarketDataType(kind)

    def snapshot(self, contract: dict[str, Any]) -> Any:
        number = self.number()
        self.app.reqMktData(number, self.contract(contract), "", True, False, [])
        self.app.wait(number)
        return self.app.quotes[number]

    def start(self, key: str, kind: str, contract: dict[str, Any], **options: Any) -> None:
        """Begin a stream of a kind: quotes, depth, ticks, seconds (real-time bars) or bars (history kept up)."""
        number = self.number()
        self.streams[key] = (kind, number, options)
        wanted = self.contract(contract)
        if kind == "bars":
            self._history(number, contract, live=True, **options)
            bars = self.app.wait(number)
            self.app.lists[number] = bars + self.app.lists[number]
        elif kind == "seconds":
            regular = options.get("regular", True)
            self.app.reqRealTimeBars(number, wanted, 5, options.get("what", "TRADES"), regular, [])
        elif kind == "quotes":
            self.app.reqMktData(number, wanted, options.get("generic", ""), options.get("snapshot", False), False, [])
        elif kind == "depth":
            self.app.reqMktDepth(number, wanted, options.get("rows", 5), options.get("smart", False), [])
        else:
            self.app.reqTickByTickData(number, wanted, options["what"], 0, False)

    def read(self, key: str) -> Any:
        kind, number, _ = self.streams[key]
        if kind == "depth":
            return self.app.depth[number]
        return dict(self.app.quotes[number]) if kind == "quotes" else list(self.app.lists[number])

    def listen(self, key: str) -> None:
        """Every tick is kept anyway."""

    def stop(self, key: str) -> None:
        kind, number, options = self.streams.pop(key)
        if kind == "bars":
            self.app.cancelHistoricalData(number)
        elif kind == "seconds":
            self.app.cancelRealTimeBars(number)
        elif kind == "quotes":
            self.app.cancelMktData(number)
        elif kind == "depth":
            self.app.cancelMktDepth(number, options.get("smart", False))
        else:
            self.app.cancelTickByTickData(number)

    def scan(self, wanted: dict[str, Any], filters: Any = ()) -> Any:
        number = self.number()
        subscription = self.make(ScannerSubscription, wanted)
        self.app.reqScannerSubscription(number, subscription, [], self.tags(filters))
        rows = self.app.wait(number)
        self.app.cancelScannerSubscription(number)
        return rows

    def scanner_parameters(self) -> str:
        self.app.reqScannerParameters()
        return self.app.wait("parameters")[0]

    def news_providers(self) -> Any:
        self.app.reqNewsProviders()
        return self.app.wait("providers")

    def headlines(self, number: int, providers: str, start: str, end: str, limit: int) -> Any:
        return self._ask(self.app.reqHistoricalNews, number, providers, start, end, limit, [])

    def article(self, provider: str, article: str) -> Any:
        return self._ask(self.app.reqNewsArticle, provider, article, [])[0]

    def news_ticks(self) -> Any:
        return list(self.app.lists["news"])

    def implied_volatility(self, contract: dict[str, Any], price: float, under: float) -> Any:
        return self._ask(self.app.calculateImpliedVolatility, self.contract(contract), price, under, [])[0]

    def option_price(self, contract: dict[str, Any], volatility: float, under: float) -> Any:
        return self._ask(self.app.calculateOptionPrice, self.contract(contract), volatility, under, [])[0]

    def depth_exchanges(self) -> Any:
        self.app.reqMktDepthExchanges()
        return self.app.wait("exchanges")

    def smart_components(self, exchange: str) -> Any:
        return self._ask(self.app.reqSmartComponents, exchange)

    def fundamentals(self, contract: dict[str, Any], report: str) -> Any:
        found = self._ask(self.app.reqFundamentalData, self.contract(contract), report, [])
        return found[0] if found else []

    def soft_dollar_tiers(self) -> Any:
        return self._ask(self.app.reqSoftDollarTiers)

    def family_codes(self) -> Any:
        self.app.reqFamilyCodes()
        return self.app.wait("families")

    def display_groups(self) -> Any:
        return self._ask(self.app.queryDisplayGroups)[0]

    def values(self, account: str = "") -> Any:
        return [
            {"account": owner, "tag": tag, "currency": currency, "value": value}
            for (owner, tag, currency), value in list(self.app.account_values.items())
            if account in ("", owner)
        ]

    def summary(self, account: str = "") -> Any:
        number = self.number()
        self.app.reqAccountSummary(number, "All", SUMMARY)
        values = self.app.wait(number)
        self.app.cancelAccountSummary(number)
        return [value for value in values if account in ("", value["account"])]

    def keep_summary(self) -> bool:
        """Subscribe and stay so; tells whether there were any values."""
        return bool(self._ask(self.app.reqAccountSummary, "All", SUMMARY))

    def values_multi(self, account: str) -> Any:
        return self._ask(self.app.reqAccountUpdatesMulti, account, "", False)

    def portfolio(self, account: str = "") -> Any:
        return [item for item in list(self.app.holdings.values()) if account in ("", item["account"])]

    def positions(self, fresh: bool = False) -> Any:  # noqa: ARG002 - it always asks anew
        self.app.cancelPositions()
        self.app.lists.pop("positions", None)
        self.app.reqPositions()
        return self.app.wait("positions")

    def positions_multi(self, account: str) -> Any:
        return self._ask(self.app.reqPositionsMulti, account, "")

    def start_profit(self, key: str, account: str, number: int = 0) -> None:
        self.streams[key] = self.number()
        if number:
            self.app.reqPnLSingle(self.streams[key], account, "", number)
        else:
            self.app.reqPnL(self.streams[key], account, "")

    def profit(self, key: str) -> Any:
        values = self.app.lists[self.streams[key]]
        return values[-1] if values else {}
