"""Collects answers about contracts, history, news and scans of IBKR's own client."""
# ruff: noqa: N802, N803, ARG002 - the library calls these names with all of this

from typing import Any

from protocol import moment, plain


class Answers:
    """Mixed into a collector."""

    lists: dict[Any, list[Any]]
    add: Any
    end: Any

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        self.add(reqId, plain(contractDetails))

    def symbolSamples(self, reqId: int, contractDescriptions: list[Any]) -> None:
        for one in contractDescriptions:
            self.add(reqId, {**plain(one.contract), "derivatives": list(one.derivativeSecTypes)})
        self.end(reqId)

    def securityDefinitionOptionParameter(
        self, reqId: int, exchange: str, underlyingConId: int, tradingClass: str, multiplier: str,
        expirations: set[str], strikes: set[float],
    ) -> None:  # fmt: skip
        self.add(reqId, {
            "exchange": exchange, "underlyingConId": underlyingConId, "tradingClass": tradingClass,
            "multiplier": multiplier, "expirations": sorted(expirations), "strikes": sorted(strikes),
        })  # fmt: skip

    def marketRule(self, marketRuleId: int, priceIncrements: list[Any]) -> None:
        self._whole("rule", priceIncrements)

    def headTimestamp(self, reqId: int, headTimestamp: str) -> None:
        self._whole(reqId, [moment(headTimestamp)])

    def historicalData(self, reqId: int, bar: Any) -> None:
        self.add(reqId, _bar(bar))

    def historicalDataEnd(self, reqId: int, start: str, end: str) -> None:
        self.end(reqId)

    def historicalDataUpdate(self, reqId: int, bar: Any) -> None:
        bars, new = self.lists[reqId], _bar(bar)
        if bars and bars[-1]["date"] == new["date"]:
            bars[-1] = new
        else:
            bars.append(new)

    def realtimeBar(
        self, reqId: int, time: int, open_: float, high: float, low: float, close: float, volume: int,
        wap: float, count: int,
    ) -> None:  # fmt: skip
        self.add(reqId, {
            "date": moment(str(time)), "open": open_, "high": high, "low": low, "close": close,
            "volume": volume, "average": wap, "count": count,
        })  # fmt: skip

    def historicalTicks(self, reqId: int, ticks: list[Any], done: bool) -> None:
        self._ticks(reqId, ticks, done)

    def historicalTicksBidAsk(self, reqId: int, ticks: list[Any], done: bool) -> None:
        self._ticks(reqId, ticks, done)

    def historicalTicksLast(self, reqId: int, ticks: list[Any], done: bool) -> None:
        self._ticks(reqId, ticks, done)

    def _ticks(self, number: int, ticks: list[Any], done: bool) -> None:
        for tick in ticks:
            self.add(number, {**plain(tick), "time": moment(str(tick.time))})
        if done:
            self.end(number)

    def _whole(self, key: Any, items: list[Any]) -> None:
        """An answer that comes in one message."""
        self.lists[key] = plain(items)
        self.end(key)

    def histogramData(self, reqId: int, items: list[Any]) -> None:
        self._whole(reqId, items)

    def scannerParameters(self, xml: str) -> None:
        self._whole("parameters", [xml])

    def scannerData(
        self, reqId: int, rank: int, contractDetails: Any, distance: str, benchmark: str, projection: str,
        legsStr: str,
    ) -> None:  # fmt: skip
        self.add(reqId, {"rank": rank, **plain(contractDetails.contract)})

    def newsProviders(self, newsProviders: list[Any]) -> None:
        self._whole("providers", newsProviders)

    def newsArticle(self, requestId: int, articleType: int, articleText: str) -> None:
        self._whole(requestId, [{"articleType": articleType, "articleText": articleText}])

    def historicalNews(self, requestId: int, time: str, providerCode: str, articleId: str, headline: str) -> None:
        news = {"time": time, "providerCode": providerCode, "articleId": articleId, "headline": headline}
        self.add(requestId, news)

    def tickNews(
        self, tickerId: int, timeStamp: int, providerCode: str, articleId: str, headline: str, extraData: str
    ) -> None:
        self.add("news", {"providerCode": providerCode, "articleId": articleId, "headline": headline})

    def mktDepthExchanges(self, depthMktDataDescriptions: list[Any]) -> None:
        self._whole("exchanges", depthMktDataDescriptions)

    def smartComponents(self, reqId: int, smartComponentMap: list[Any]) -> None:
        self._whole(reqId, smartComponentMap)

    def fundamentalData(self, reqId: int, data: str) -> None:
        self._whole(reqId, [data])

    def softDollarTiers(self, reqId: int, tiers: list[Any]) -> None:
        self._whole(reqId, tiers)

    def familyCodes(self, familyCodes: list[Any]) -> None:
        self._whole("families", familyCodes)

    def displayGroupList(self, reqId: int, groups: str) -> None:
        self._whole(reqId, [groups])


def _bar(bar: Any) -> dict[str, Any]:
    return {
        "date": moment(bar.date), "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
        "volume": bar.volume, "average": bar.average, "count": bar.barCount,
    }  # fmt: skip
