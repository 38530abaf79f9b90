"""Calls about orders and executions, for ib_async and ib_insync."""

import asyncio
from typing import Any

from protocol import plain


class OrderCalls:
    """Mixed into a session, which has `ib`, `library`, `contract`, `make` and `tags`."""

    ib: Any
    library: Any

    def order_object(self, values: dict[str, Any]) -> Any:
        values = dict(values)
        for name in ("algoParams", "smartComboRoutingParams", "orderMiscOptions"):
            if name in values:
                values[name] = self.tags(values[name])
        values["conditions"] = [
            self.make(condition["class"], {key: item for key, item in condition.items() if key != "class"})
            for condition in values.get("conditions", ())
        ]
        return self.make("Order", values)

    async def place(self, contract: dict[str, Any], order: dict[str, Any]) -> int:
        return self.ib.placeOrder(self.contract(contract), self.order_object(order)).order.orderId

    async def new_id(self) -> int:
        return self.ib.client.getReqId()

    async def modify(self, number: int, changes: dict[str, Any]) -> None:
        trade = self._trade(number)
        for name, value in changes.items():
            setattr(trade.order, name, value)
        self.ib.placeOrder(trade.contract, trade.order)

    async def cancel(self, number: int) -> None:
        trade = self._trade(number)
        if trade is None or trade.isDone():
            self.ib.client.cancelOrder(number, "")
        else:
            self.ib.cancelOrder(trade.order)

    async def cancel_all(self) -> None:
        self.ib.reqGlobalCancel()

    async def what_if(self, contract: dict[str, Any], order: dict[str, Any]) -> Any:
        state = await self.ib.whatIfOrderAsync(self.contract(contract), self.order_object(order))
        return plain(state) if isinstance(state, self.library.OrderState) else None

    def _trade(self, number: int) -> Any:
        own = self.ib.client.clientId
        matching = [trade for trade in self.ib.trades() if trade.order.orderId == number]
        return next((trade for trade in matching if trade.order.clientId in (own, 0)), None)

    async def order(self, number: int) -> Any:
        trade = self._trade(number)
        return self._record(trade) if trade else None

    async def orders(self) -> Any:
        """Every order that the client knows of."""
        return [self._record(trade) for trade in self.ib.trades()]

    async def open_orders(self, every_client: bool = False) -> Any:
        call = self.ib.reqAllOpenOrdersAsync if every_client else self.ib.reqOpenOrdersAsync
        return [self._record(trade) for trade in await call()]

    async def bind_orders(self) -> None:
        self.ib.reqAutoOpenOrders(True)
        await asyncio.sleep(0)

    async def completed(self) -> Any:
        return [self._record(trade) for trade in await self.ib.reqCompletedOrdersAsync(False)]

    async def executions(self, **wanted: Any) -> Any:
        found = await self.ib.reqExecutionsAsync(self.make("ExecutionFilter", wanted))
        return [_fill(fill) for fill in found]

    async def fills(self) -> Any:
        """What came without being asked for, of all orders."""
        return [_fill(fill) for fill in self.ib.fills()]

    async def exercise(self, contract: dict[str, Any], action: int, quantity: int, account: str, force: bool) -> None:
        self.ib.exerciseOptions(self.contract(contract), action, quantity, account, int(force))

    def _record(self, trade: Any) -> dict[str, Any]:
        status = trade.orderStatus
        seen = [entry.status for entry in trade.log]
        return {
            "orderId": trade.order.orderId or status.orderId,
            "clientId": trade.order.clientId,
            "permId": trade.order.permId or status.permId,
            **{name: plain(getattr(status, name)) for name in ("status", "filled", "remaining", "avgFillPrice")},
            **{name: plain(getattr(status, name)) for name in ("lastFillPrice", "whyHeld", "parentId")},
            "statuses": [state for state, before in zip(seen, [None, *seen], strict=False) if state != before],
            "codes": [entry.errorCode for entry in trade.log if entry.errorCode],
            "fills": [_fill(fill) for fill in trade.fills],
            "order": plain(trade.order),
            "contract": plain(trade.contract),
        }


def _fill(fill: Any) -> dict[str, Any]:
    report = fill.commissionReport
    return {
        **plain(fill.execution),
        "contract": plain(fill.contract),
        "commission": plain(report.commission) if report.execId else None,
        "realizedPNL": plain(report.realizedPNL) if report.execId else None,
        "currency": report.currency,
    }
