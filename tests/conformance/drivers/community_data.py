"""Calls about contracts, prices and accounts, for ib_async and ib_insync."""

from datetime import datetime
from typing import Any

from protocol import moment, plain

QUOTE = [
    "bid", "bidSize", "ask", "askSize", "last", "lastSize", "volume", "open", "high", "low", "close", "vwap",
    "markPrice", "halted", "marketDataType", "minTick", "low13week", "high13week", "low26week", "high26week",
    "low52week", "high52week", "rtHistVolatility", "rtVolume", "avVolume", "tradeCount", "tradeRate", "volumeRate",
    "shortable", "shortableShares", "indexFuturePremium", "futuresOpenInterest", "putOpenInterest",
    "callOpenInterest", "putVolume", "callVolume", "avOptionVolume", "histVolatility", "impliedVolatility",
    "lastTimestamp", "bidGreeks", "askGreeks", "lastGreeks", "modelGreeks", "auctionVolume", "auctionPrice",
    "auctionImbalance", "bboExchange", "dividends", "bidExchange", "askExchange", "lastExchange", "lastRthTrade",
]  # fmt: skip


class DataCalls:
    """Mixed into a session, which has `ib`, `library`, `streams` and `contract`."""

    ib: Any
    library: Any
    streams: dict[str, Any]

    async def details(self, contract: dict[str, Any]) -> Any:
        found = await self.ib.reqContractDetailsAsync(self.contract(contract))
        return [{**plain(one), "contract": plain(one.contract)} for one in found]

    async def symbols(self, pattern: str) -> Any:
        return [
            {**plain(one.contract), "derivatives": list(one.derivativeSecTypes)}
            for one in await self.ib.reqMatchingSymbolsAsync(pattern)
        ]

    async def chain(self, symbol: str, kind: str, number: int) -> Any:
        return plain(await self.ib.reqSecDefOptParamsAsync(symbol, "", kind, number))

    async def rule(self, number: int) -> Any:
        return plain(await self.ib.reqMarketRuleAsync(number))

    async def head(self, contract: dict[str, Any], what: str = "TRADES", regular: bool = True) -> Any:
        return plain(await self.ib.reqHeadTimeStampAsync(self.contract(contract), what, regular, 1))

    async def history(self, contract: dict[str, Any], **options: Any) -> Any:
        bars = await self._bars(contract, **options)
        return [_bar(bar) for bar in bars]

    async def _bars(
        self, contract: dict[str, Any], duration: str = "1 D", size: str = "1 min", what: str = "TRADES",
        regular: bool = True, form: int = 2, end: str = "", live: bool = False,
    ) -> Any:  # fmt: skip
        return await self.ib.reqHistoricalDataAsync(
            self.contract(contract), end, duration, size, what, regular, form, keepUpToDate=live
        )

    async def schedule(self, contract: dict[str, Any], days: int) -> Any:
        found = plain(await self.ib.reqHistoricalScheduleAsync(self.contract(contract), days))
        for session in found["sessions"]:
            session["zone"] = found["timeZone"]
        return found["sessions"]

    async def ticks(
        self, contract: dict[str, Any], what: str, number: int, start: str = "", end: str = "", regular: bool = True
    ) -> Any:
        found = await self.ib.reqHistoricalTicksAsync(self.contract(contract), start, end, number, what, regular)
        return [plain(tick) for tick in found]

    async def histogram(self, contract: dict[str, Any], period: str) -> Any:
        return plain(await self.ib.reqHistogramDataAsync(self.contract(contract), True, period))

    async def data_type(self, kind: int) -> None:
        self.ib.reqMarketDataType(kind)

    async def snapshot(self, contract: dict[str, Any]) -> Any:
        (ticker,) = await self.ib.reqTickersAsync(self.contract(contract))
        return _quote(ticker)

    async def start(self, key: str, kind: str, contract: dict[str, Any], **options: Any) -> None:
        """Begin a stream of a kind: quotes, depth, ticks, seconds (real-time bars) or bars (history kept up)."""
        wanted = self.contract(contract)
        if kind == "bars":
            made = await self._bars(contract, live=True, **options)
        elif kind == "seconds":
            made = self.ib.reqRealTimeBars(wanted, 5, options.get("what", "TRADES"), options.get("regular", True))
        elif kind == "quotes":
            made = self.ib.reqMktData(wanted, options.get("generic", ""), options.get("snapshot", False), False)
        elif kind == "depth":
            made = self.ib.reqMktDepth(wanted, options.get("rows", 5), options.get("smart", False))
        else:
            made = self.ib.reqTickByTickData(wanted, options["what"], 0, False)
        self.streams[key] = (kind, made, wanted, options)

    async def read(self, key: str) -> Any:
        kind, made, _, _ = self.streams[key]
        if kind in ("bars", "seconds"):
            return [_bar(bar) for bar in made]
        if kind == "depth":
            return {"bids": plain(made.domBids), "asks": plain(made.domAsks)}
        return _quote(made) if kind == "quotes" else plain(self._collected(key, made))

    def _collected(self, key: str, ticker: Any) -> list[Any]:
        """Tick-by-tick ticks live until the next batch only, so a listener copies them."""
        return self.streams.setdefault(f"{key} ticks", list(ticker.tickByTicks))

    async def listen(self, key: str) -> None:
        """Keep every tick-by-tick tick of a stream from now on."""
        ticker = self.streams[key][1]
        kept = self._collected(key, ticker)
        ticker.updateEvent += lambda updated: kept.extend(updated.tickByTicks)

    async def stop(self, key: str) -> None:
        kind, made, wanted, options = self.streams.pop(key)
        if kind == "bars":
            self.ib.cancelHistoricalData(made)
        elif kind == "seconds":
            self.ib.cancelRealTimeBars(made)
        elif kind == "quotes":
            self.ib.cancelMktData(wanted)
        elif kind == "depth":
            self.ib.cancelMktDepth(wanted, options.get("smart", False))
        else:
            self.ib.cancelTickByTickData(wanted, options["what"])

    async def scan(self, wanted: dict[str, Any], filters: list[list[str]] = []) -> Any:  # noqa: B006 - never changed
        subscription = self.make("ScannerSubscription", wanted)
        rows = await self.ib.reqScannerDataAsync(subscription, [], self.tags(filters))
        return [{"rank": row.rank, **plain(row.contractDetails.contract)} for row in rows]

    async def scanner_parameters(self) -> str:
        return await self.ib.reqScannerParametersAsync()

    async def news_providers(self) -> Any:
        return plain(await self.ib.reqNewsProvidersAsync())

    async def headlines(self, number: int, providers: str, start: str, end: str, limit: int) -> Any:
        found = await self.ib.reqHistoricalNewsAsync(number, providers, start, end, limit)
        return plain(found if isinstance(found, list) else [found] if found else [])

    async def article(self, provider: str, article: str) -> Any:
        return plain(await self.ib.reqNewsArticleAsync(provider, article, []))

    async def news_ticks(self) -> Any:
        return plain(self.ib.newsTicks())

    async def implied_volatility(self, contract: dict[str, Any], price: float, under: float) -> Any:
        return plain(await self.ib.calculateImpliedVolatilityAsync(self.contract(contract), price, under))

    async def option_price(self, contract: dict[str, Any], volatility: float, under: float) -> Any:
        return plain(await self.ib.calculateOptionPriceAsync(self.contract(contract), volatility, under))

    async def depth_exchanges(self) -> Any:
        return plain(await self.ib.reqMktDepthExchangesAsync())

    async def smart_components(self, exchange: str) -> Any:
        return plain(await self.ib.reqSmartComponentsAsync(exchange))

    async def fundamentals(self, contract: dict[str, Any], report: str) -> Any:
        return plain(await self.ib.reqFundamentalDataAsync(self.contract(contract), report))

    async def user_info(self) -> Any:
        return await self.ib.reqUserInfoAsync()

    async def values(self, account: str = "") -> Any:
        return plain(self.ib.accountValues(account))

    async def summary(self, account: str = "") -> Any:
        return plain(await self.ib.accountSummaryAsync(account))

    async def values_multi(self, account: str) -> Any:
        await self.ib.reqAccountUpdatesMultiAsync(account)
        return plain(self.ib.accountValues(account))

    async def portfolio(self, account: str = "") -> Any:
        return [{**plain(item), "contract": plain(item.contract)} for item in self.ib.portfolio(account)]

    async def positions(self, fresh: bool = False) -> Any:
        if fresh:
            await self.ib.reqPositionsAsync()
        return [{**plain(item), "contract": plain(item.contract)} for item in self.ib.positions()]

    async def start_profit(self, key: str, account: str, number: int = 0) -> None:
        request = self.ib.reqPnLSingle(account, "", number) if number else self.ib.reqPnL(account)
        self.streams[key] = request

    async def profit(self, key: str) -> Any:
        return plain(self.streams[key])


def _bar(bar: Any) -> dict[str, Any]:
    """Real-time bars name some of their fields in other ways."""
    when = bar.time if hasattr(bar, "time") else bar.date
    opening = bar.open_ if hasattr(bar, "open_") else bar.open
    average = bar.wap if hasattr(bar, "wap") else bar.average
    count = bar.count if hasattr(bar, "count") else bar.barCount
    return {
        "date": moment(when) if not isinstance(when, datetime) else plain(when),
        "open": opening, "high": bar.high, "low": bar.low, "close": bar.close,
        "volume": plain(bar.volume), "average": plain(average), "count": plain(count),
    }  # fmt: skip


def _quote(ticker: Any) -> dict[str, Any]:
    values = {name: plain(getattr(ticker, name, None)) for name in QUOTE}
    return {name: value for name, value in values.items() if value not in (None, "")}
