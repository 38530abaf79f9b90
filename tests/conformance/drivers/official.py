"""Drives ibapi, IBKR's own client; its message loop runs in a thread, as in IBKR's examples."""

import json
import sys
import threading
from typing import Any

from ibapi import order_condition
from ibapi.contract import ComboLeg, Contract, DeltaNeutralContract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.tag_value import TagValue
from official_calls import DataCalls
from official_wrapper import Collector
from protocol import Complaints, answer


class Session(DataCalls):
    """One connection. Public methods are calls of the protocol."""

    def __init__(self) -> None:
        self.app = Collector()
        self.streams: dict[str, Any] = {}
        self.thread: threading.Thread | None = None

    def connect(self, port: int, client: int, patience: float = 5) -> dict[str, Any]:
        """Do what the other clients do by themselves: learn accounts, ids, open orders, values, executions."""
        del patience  # the others wait as long for a refusal
        self.app.connect("127.0.0.1", port, client)
        if not self.app.isConnected():
            return {"failed": "ConnectionError"}
        self.thread = threading.Thread(target=self.app.run, name="ibapi messages")
        self.thread.start()
        self.app.wait("accounts")
        if not self.app.accounts:
            return {"failed": "closed"}
        self.app.wait("ids")
        self.app.reqAccountUpdates(True, self.app.accounts[0])
        self.app.wait("account")
        self.open_orders()
        self.executions()
        return {"version": self.app.serverVersion(), "accounts": self.app.accounts, "next_id": self.app.next_id}

    def disconnect(self, wait: bool = True) -> None:
        """The socket closes when the thread that reads it wakes up, within a second; wait for it to reconnect."""
        reader = getattr(self.app, "reader", None)
        self.app.disconnect()
        if wait and reader is not None:
            reader.join()

    def connected(self) -> bool:
        if self.app.isConnected() and self.thread is not None and not self.thread.is_alive():
            raise RuntimeError("the message thread died")
        return bool(self.app.isConnected())

    def errors(self) -> list[list[Any]]:
        """What came as error or notice since the last call."""
        errors, self.app.error_log = self.app.error_log, []
        return errors

    def time(self) -> Any:
        self.app.reqCurrentTime()
        return self.app.wait("time")[0]

    def number(self) -> int:
        self.app.next_id += 1
        return self.app.next_id - 1

    @staticmethod
    def make(kind: Any, values: dict[str, Any]) -> Any:
        made = kind()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    def contract(self, values: dict[str, Any]) -> Any:
        legs = [self.make(ComboLeg, leg) for leg in values.get("comboLegs", ())]
        made = self.make(Contract, {**values, "comboLegs": legs or None})
        neutral = values.get("deltaNeutralContract")
        made.deltaNeutralContract = self.make(DeltaNeutralContract, neutral) if neutral else None
        return made

    @staticmethod
    def tags(pairs: Any) -> list[TagValue]:
        return [TagValue(tag, value) for tag, value in pairs]

    def order_object(self, values: dict[str, Any]) -> Order:
        values = dict(values)
        for name in ("algoParams", "smartComboRoutingParams", "orderMiscOptions"):
            if name in values:
                values[name] = self.tags(values[name])
        values["conditions"] = [_condition(condition) for condition in values.get("conditions", ())]
        # ibapi's defaults for these are true, and the gateway refuses them (code 10268); users must clear them
        return self.make(Order, {"eTradeOnly": False, "firmQuoteOnly": False, **values})

    # -- orders

    def place(self, contract: dict[str, Any], order: dict[str, Any]) -> int:
        number = order.get("orderId") or self.number()
        wanted, made = self.contract(contract), self.order_object(order)
        self.app.record(number).update(order=dict(order), contract=dict(contract))
        self.app.placeOrder(number, wanted, made)
        return number

    def new_id(self) -> int:
        return self.number()

    def modify(self, number: int, changes: dict[str, Any]) -> None:
        entry = self.app.records[number]
        contract = {name: value for name, value in entry["contract"].items() if value is not None}
        contract["comboLegs"] = contract.get("comboLegs") or ()
        order = {name: value for name, value in entry["order"].items() if value is not None}
        for name in ("softDollarTier", "orderComboLegs", "conditions", "algoParams", "smartComboRoutingParams"):
            order.pop(name, None)
        self.app.placeOrder(number, self.contract(contract), self.order_object({**order, **changes}))

    def cancel(self, number: int) -> None:
        self.app.cancelOrder(number)

    def cancel_all(self) -> None:
        self.app.reqGlobalCancel()

    def what_if(self, contract: dict[str, Any], order: dict[str, Any]) -> Any:
        number = self.number()
        self.app.what_ifs.add(number)
        self.app.placeOrder(number, self.contract(contract), self.order_object({**order, "whatIf": True}))
        states = self.app.wait(number)
        return states[0] if states else None

    def order(self, number: int) -> Any:
        return self.app.records.get(number)

    def orders(self) -> Any:
        """Every order that the client knows of."""
        return list(self.app.records.values())

    def open_orders(self, every_client: bool = False) -> Any:
        self.app.lists.pop("orders", None)  # what came without being asked for
        if every_client:
            self.app.reqAllOpenOrders()
        else:
            self.app.reqOpenOrders()
        return list({entry["permId"]: entry for entry in self.app.wait("orders")}.values())

    def bind_orders(self) -> None:
        self.app.reqAutoOpenOrders(True)

    def completed(self) -> Any:
        self.app.reqCompletedOrders(False)
        return self.app.wait("completed")

    def executions(self, **wanted: Any) -> Any:
        return self._ask(self.app.reqExecutions, self.make(ExecutionFilter, wanted))

    def fills(self) -> Any:
        """What came without being asked for, of all orders."""
        return list(self.app.fill_log.values())

    def exercise(self, contract: dict[str, Any], action: int, quantity: int, account: str, force: bool) -> None:
        self.app.exerciseOptions(self.number(), self.contract(contract), action, quantity, account, int(force))


def _condition(values: dict[str, Any]) -> Any:
    values = dict(values)
    made = getattr(order_condition, values.pop("class"))()
    made.isConjunctionConnection = values.pop("conjunction", "a") == "a"
    for name, value in values.items():
        setattr(made, "exchange" if name == "exch" else name, value)
    return made


def main() -> None:
    complaints = Complaints()
    sessions: dict[str, Session] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["session"]
        try:
            if request["call"] == "complaints":
                answer(complaints.take())
                continue
            if request["call"] == "connect":
                sessions[name] = Session()
            answer(getattr(sessions[name], request["call"])(**request["args"]))
        except Exception as error:  # noqa: BLE001 - whatever it is, the suite is told
            answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
