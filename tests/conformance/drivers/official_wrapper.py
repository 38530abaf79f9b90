"""Collects what IBKR's own client calls back with, for the driver to read."""
# ruff: noqa: N802, N803, ARG002 - the library calls these names with all of this

import threading
from collections import defaultdict
from typing import Any

from ibapi.client import EClient
from ibapi.wrapper import EWrapper
from official_answers import Answers
from official_ticks import Quotes
from protocol import moment, plain

INFORMATION = {399, 404, 10090, 10091, 10167, 10349}
SECONDS = 8

Books = dict[str, dict[int, dict[str, Any]]]


class Collector(Quotes, Answers, EWrapper, EClient):
    """Answers by request: the list that belongs to a key, and whether its end has come.

    A key is a request's number, or a word for requests that have none.
    """

    def __init__(self) -> None:
        EClient.__init__(self, self)
        Quotes.__init__(self)
        self.change = threading.Condition()
        self.lists: dict[Any, list[Any]] = defaultdict(list)
        self.ended: set[Any] = set()
        self.error_log: list[list[Any]] = []
        self.next_id = 0
        self.accounts: list[str] = []
        self.records: dict[Any, dict[str, Any]] = {}
        self.fill_log: dict[str, dict[str, Any]] = {}
        self.depth: dict[int, dict[str, list[Any]]] = defaultdict(lambda: {"bids": [], "asks": []})
        self.account_values: dict[tuple[str, str, str], str] = {}
        self.holdings: dict[tuple[str, int], dict[str, Any]] = {}
        self.what_ifs: set[int] = set()

    def add(self, key: Any, item: Any) -> None:
        with self.change:
            self.lists[key].append(item)

    def end(self, key: Any) -> None:
        with self.change:
            self.ended.add(key)
            self.change.notify_all()

    def wait(self, key: Any) -> list[Any]:
        """Return what was collected under a key when its end, or an error, has come. Raises TimeoutError."""
        with self.change:
            if not self.change.wait_for(lambda: key in self.ended or not self.isConnected(), SECONDS):
                raise TimeoutError(f"no end of {key!r} within {SECONDS} s")
            self.ended.discard(key)
            return self.lists.pop(key, [])

    # -- connection

    def nextValidId(self, orderId: int) -> None:
        self.next_id = max(self.next_id, orderId)
        self.end("ids")

    def managedAccounts(self, accountsList: str) -> None:
        self.accounts = accountsList.split(",")
        self.end("accounts")

    def error(self, reqId: int, errorCode: int, errorString: str) -> None:
        self.error_log.append([reqId, errorCode, errorString])
        if reqId in self.records:
            self.records[reqId]["codes"].append(errorCode)
        if reqId > 0 and errorCode not in INFORMATION and not 2100 <= errorCode < 2200:
            self.end(reqId)

    def connectionClosed(self) -> None:
        with self.change:
            self.change.notify_all()

    def currentTime(self, time: int) -> None:
        self.add("time", moment(str(time)))
        self.end("time")

    # -- orders

    def record(self, number: Any) -> dict[str, Any]:
        empty = {"status": "PendingSubmit", "statuses": [], "codes": [], "fills": [], "filled": 0.0}
        return self.records.setdefault(number, {"orderId": number, **empty})

    def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
        if orderId in self.what_ifs:
            self.add(orderId, plain(orderState))
            self.end(orderId)
            return
        entry = self.record(orderId)
        entry.update(order=plain(order), contract=plain(contract), permId=order.permId, clientId=order.clientId)
        self._state(entry, orderState.status)
        self.add("orders", entry)

    def orderStatus(
        self, orderId: int, status: str, filled: float, remaining: float, avgFillPrice: float, permId: int,
        parentId: int, lastFillPrice: float, clientId: int, whyHeld: str, mktCapPrice: float,
    ) -> None:  # fmt: skip
        entry = self.record(orderId)
        entry.update(
            filled=filled, remaining=remaining, avgFillPrice=avgFillPrice, permId=permId, parentId=parentId,
            lastFillPrice=lastFillPrice, clientId=clientId, whyHeld=whyHeld,
        )  # fmt: skip
        self._state(entry, status)

    @staticmethod
    def _state(entry: dict[str, Any], status: str) -> None:
        entry["status"] = status
        if entry["statuses"][-1:] != [status]:
            entry["statuses"].append(status)

    def openOrderEnd(self) -> None:
        self.end("orders")

    def completedOrder(self, contract: Any, order: Any, orderState: Any) -> None:
        state = {"status": orderState.status, "completedStatus": orderState.completedStatus}
        self.add("completed", {**state, "permId": order.permId, "order": plain(order), "contract": plain(contract)})

    def completedOrdersEnd(self) -> None:
        self.end("completed")

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        fill = {**plain(execution), "time": moment(execution.time), "contract": plain(contract)}
        known = self.fill_log.get(execution.execId)
        if known is None:
            known = {"commission": None, "realizedPNL": None, "currency": "", **fill}
            self.fill_log[execution.execId] = known
            if contract.secType == "BAG" or not self._is_combo(execution.orderId):
                self.record(execution.orderId)["fills"].append(known)
        if reqId > 0:
            self.add(reqId, known)

    def _is_combo(self, number: int) -> bool:
        return self.records.get(number, {}).get("contract", {}).get("secType") == "BAG"

    def execDetailsEnd(self, reqId: int) -> None:
        self.end(reqId)

    def commissionReport(self, commissionReport: Any) -> None:
        report = plain(commissionReport)
        known = self.fill_log.setdefault(commissionReport.execId, {})
        known.update({name: report[name] for name in ("commission", "realizedPNL", "currency")})

    # -- accounts

    def updateAccountValue(self, key: str, val: str, currency: str, accountName: str) -> None:
        self.account_values[accountName, key, currency] = val

    def updatePortfolio(
        self, contract: Any, position: float, marketPrice: float, marketValue: float, averageCost: float,
        unrealizedPNL: float, realizedPNL: float, accountName: str,
    ) -> None:  # fmt: skip
        item = {
            "contract": plain(contract), "position": position, "marketPrice": marketPrice, "marketValue": marketValue,
            "averageCost": averageCost, "unrealizedPNL": unrealizedPNL, "realizedPNL": realizedPNL,
            "account": accountName,
        }  # fmt: skip
        self.holdings[accountName, contract.conId] = item
        if not position:
            del self.holdings[accountName, contract.conId]

    def accountDownloadEnd(self, accountName: str) -> None:
        self.end("account")

    def position(self, account: str, contract: Any, position: float, avgCost: float) -> None:
        item = {"account": account, "contract": plain(contract), "position": position, "avgCost": avgCost}
        self.add("positions", item)

    def positionEnd(self) -> None:
        self.end("positions")

    def positionMulti(
        self, reqId: int, account: str, modelCode: str, contract: Any, pos: float, avgCost: float
    ) -> None:
        item = {"account": account, "contract": plain(contract), "position": pos, "avgCost": avgCost}
        self.add(reqId, item)

    def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:
        self.add(reqId, {"account": account, "tag": tag, "value": value, "currency": currency})

    def accountUpdateMulti(self, reqId: int, account: str, modelCode: str, key: str, value: str, currency: str) -> None:
        self.add(reqId, {"account": account, "tag": key, "value": value, "currency": currency})

    def pnl(self, reqId: int, dailyPnL: float, unrealizedPnL: float, realizedPnL: float) -> None:
        values = {"dailyPnL": dailyPnL, "unrealizedPnL": unrealizedPnL, "realizedPnL": realizedPnL}
        self.lists[reqId] = [plain(values)]

    def pnlSingle(
        self, reqId: int, pos: int, dailyPnL: float, unrealizedPnL: float, realizedPnL: float, value: float
    ) -> None:
        values = {"dailyPnL": dailyPnL, "unrealizedPnL": unrealizedPnL, "realizedPnL": realizedPnL}
        self.lists[reqId] = [plain({**values, "position": pos, "value": value})]


def _simple_end(self: Collector, reqId: int, *_rest: Any) -> None:
    self.end(reqId)


for _name in (
    "contractDetailsEnd", "accountSummaryEnd", "accountUpdateMultiEnd", "positionMultiEnd", "scannerDataEnd",
    "historicalNewsEnd", "tickSnapshotEnd", "securityDefinitionOptionParameterEnd",
):  # fmt: skip
    setattr(Collector, _name, _simple_end)
