"""Collects quotes, depth and tick-by-tick data of IBKR's own client under the names that ib_async gives them."""
# ruff: noqa: N802, N803, ARG002 - the library calls these names with all of this

from collections import defaultdict
from typing import Any

from protocol import moment, plain

PRICES = {
    1: "bid", 2: "ask", 4: "last", 6: "high", 7: "low", 9: "close", 14: "open", 15: "low13week", 16: "high13week",
    17: "low26week", 18: "high26week", 19: "low52week", 20: "high52week", 35: "auctionPrice", 37: "markPrice",
    57: "lastRthTrade", 66: "bid", 67: "ask", 68: "last", 72: "high", 73: "low", 75: "close", 76: "open",
}  # fmt: skip
SIZES = {
    0: "bidSize", 3: "askSize", 5: "lastSize", 8: "volume", 21: "avVolume", 27: "callOpenInterest",
    28: "putOpenInterest", 29: "callVolume", 30: "putVolume", 34: "auctionVolume", 36: "auctionImbalance",
    69: "bidSize", 70: "askSize", 71: "lastSize", 74: "volume", 86: "futuresOpenInterest", 87: "avOptionVolume",
    89: "shortableShares",
}  # fmt: skip
GENERIC = {
    23: "histVolatility", 24: "impliedVolatility", 31: "indexFuturePremium", 46: "shortable", 49: "halted",
    54: "tradeCount", 55: "tradeRate", 56: "volumeRate", 58: "rtHistVolatility", 90: "halted",
}  # fmt: skip
STRINGS = {32: "bidExchange", 33: "askExchange", 84: "lastExchange"}
GREEKS = {10: "bidGreeks", 11: "askGreeks", 12: "lastGreeks", 13: "modelGreeks"}
GREEKS |= {number + 70: name for number, name in GREEKS.items()}
CUSTOM_GREEKS = 53


class Quotes:
    """One dictionary of values per market data request."""

    lists: dict[Any, list[Any]]
    depth: dict[int, dict[str, list[Any]]]
    end: Any

    def __init__(self) -> None:
        self.quotes: dict[int, dict[str, Any]] = defaultdict(dict)

    def tickPrice(self, reqId: int, tickType: int, price: float, attrib: Any) -> None:
        self.quotes[reqId][PRICES.get(tickType, f"price {tickType}")] = price

    def tickSize(self, reqId: int, tickType: int, size: int) -> None:
        self.quotes[reqId][SIZES.get(tickType, f"size {tickType}")] = size

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        self.quotes[reqId][GENERIC.get(tickType, f"generic {tickType}")] = value

    def tickString(self, reqId: int, tickType: int, value: str) -> None:
        quote = self.quotes[reqId]
        if tickType in (45, 88):
            quote["lastTimestamp"] = moment(value)
        elif tickType in (48, 77):
            price, size, _when, volume, average, _single = value.split(";")
            quote.update(rtVolume=float(volume), vwap=float(average), last=float(price), lastSize=float(size))
        elif tickType == 59:
            past, coming, day, amount = value.split(",")
            quote["dividends"] = {
                "past12Months": float(past or 0), "next12Months": float(coming or 0),
                "nextDate": moment(day) or None, "nextAmount": float(amount or 0),
            }  # fmt: skip
        else:
            quote[STRINGS.get(tickType, f"string {tickType}")] = value

    def tickOptionComputation(
        self, reqId: int, tickType: int, tickAttrib: int, impliedVol: float, delta: float, optPrice: float,
        pvDividend: float, gamma: float, vega: float, theta: float, undPrice: float,
    ) -> None:  # fmt: skip
        values = plain({
            "impliedVol": impliedVol, "delta": delta, "optPrice": optPrice, "pvDividend": pvDividend,
            "gamma": gamma, "vega": vega, "theta": theta, "undPrice": undPrice,
        })  # fmt: skip
        if tickType == CUSTOM_GREEKS:
            self.lists[reqId] = [values]
            self.end(reqId)
        else:
            self.quotes[reqId][GREEKS[tickType]] = values

    def marketDataType(self, reqId: int, marketDataType: int) -> None:
        self.quotes[reqId]["marketDataType"] = marketDataType

    def tickReqParams(self, tickerId: int, minTick: float, bboExchange: str, snapshotPermissions: int) -> None:
        self.quotes[tickerId].update(minTick=minTick, bboExchange=bboExchange)

    def updateMktDepth(self, reqId: int, position: int, operation: int, side: int, price: float, size: int) -> None:
        self._depth(reqId, position, operation, side, {"price": price, "size": size, "marketMaker": ""})

    def updateMktDepthL2(
        self, reqId: int, position: int, marketMaker: str, operation: int, side: int, price: float, size: int,
        isSmartDepth: bool,
    ) -> None:  # fmt: skip
        self._depth(reqId, position, operation, side, {"price": price, "size": size, "marketMaker": marketMaker})

    def _depth(self, number: int, position: int, operation: int, side: int, level: dict[str, Any]) -> None:
        levels = self.depth[number]["bids" if side else "asks"]
        if operation == 0:
            levels.insert(position, level)
        elif operation == 1:
            levels[position] = level
        else:
            del levels[position]

    def tickByTickAllLast(
        self, reqId: int, tickType: int, time: int, price: float, size: int, tickAttribLast: Any, exchange: str,
        specialConditions: str,
    ) -> None:  # fmt: skip
        tick = {"tickType": tickType, "price": price, "size": size, "exchange": exchange}
        self.lists[reqId].append({**tick, "time": moment(str(time)), "tickAttribLast": plain(tickAttribLast)})

    def tickByTickBidAsk(
        self, reqId: int, time: int, bidPrice: float, askPrice: float, bidSize: int, askSize: int, tickAttribBidAsk: Any
    ) -> None:
        self.lists[reqId].append({
            "time": moment(str(time)), "bidPrice": bidPrice, "askPrice": askPrice, "bidSize": bidSize,
            "askSize": askSize,
        })  # fmt: skip

    def tickByTickMidPoint(self, reqId: int, time: int, midPoint: float) -> None:
        self.lists[reqId].append({"time": moment(str(time)), "midPoint": midPoint})
