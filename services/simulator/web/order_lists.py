"""The lists of orders and trades, and one order by its id."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.simulator.core.orders import Execution, Order, Status
from services.simulator.web.call import Call, Handler, WebError, whole
from services.simulator.web.client import WEB_CLIENT_ID
from services.simulator.web.order_rows import order_row, refused_row, status_row, trade_row
from services.simulator.web.order_terms import WebOrder
from services.simulator.web.portal import Portal, identity_of, text_of
from services.simulator.wire.layout import Row

_MOST_DAYS = 7


class OrderLists:
    """`placed` are the orders that were sent in this log-in or an earlier one, by order id of the broker's session."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._engine = portal.engine
        self._market = portal.market
        self.placed: dict[int, WebOrder] = {}
        self._texts: dict[int, str] = {}
        self._listed = False
        portal.listeners.append(self._hear)
        portal.forgetters.append(self._forget)

    def _forget(self) -> None:
        self._listed = False

    def _hear(self, name: str, row: Row) -> None:
        order_id = identity_of(name, row)
        if name == "error" and order_id in self.placed:
            self._texts[order_id] = text_of(row, "text")

    # -- finding ----------------------------------------------------------------------------------------------------

    def by_id(self, text: str) -> Order | None:
        """Return the order of a permanent id, None if there is none."""
        permanent_id = whole("orderId", text)
        found = (order for order in self._engine.book.orders.values() if order.permanent_id == permanent_id)
        order = next(found, None)
        return None if order is None or order.status is Status.HELD else order

    def by_reference(self, reference: str) -> Order | None:
        """Return this API's order of a cOID, None if there is none."""
        own = (order for (client_id, _), order in self._engine.book.orders.items() if client_id == WEB_CLIENT_ID)
        return next((order for order in own if order.request.order_ref == reference), None)

    def today(self) -> list[dict[str, object]]:
        """Return the orders that live, and those that ended on the exchange's present day."""
        since = self._engine.midnight()
        orders = [order for order in self._engine.book.orders.values() if order.status is not Status.HELD]
        return [self._row(order) for order in orders if order.completed_at is None or order.completed_at >= since]

    def _row(self, order: Order) -> dict[str, object]:
        row = order_row(order, self._market, self._engine.book.parent(order))
        text = self._texts.get(order.request.order_id)
        if order.status is Status.INACTIVE and text and order.request.client_id == WEB_CLIENT_ID:
            row["text"] = text
        return row

    def updated(self, row: Row) -> dict[str, object] | None:
        """Return the row of the order that an orderStatus is about, with the state that it tells of."""
        key = int(text_of(row, "client_id")), int(text_of(row, "order_id"))
        order = self._engine.book.orders.get(key)
        if order is not None:
            average = text_of(row, "average_fill_price")
            filled = float(text_of(row, "filled"))
            return self._row(order) | {
                "status": text_of(row, "status"),
                "filledQuantity": filled,
                "remainingQuantity": float(text_of(row, "remaining")),
                "avgPrice": average if filled else "",
            }
        placed = self.placed.get(key[1])
        if placed is None:
            return None
        return refused_row(placed, int(text_of(row, "perm_id") or 0), self._texts.get(key[1], ""), self._market)

    def trades_since(self, since: datetime) -> list[dict[str, object]]:
        return [trade_row(one, self._market) for one in self._engine.executions if one.time >= since]

    def trade(self, execution_id: str) -> dict[str, object] | None:
        """Return one execution, None if there is none of that id."""
        found = (one for one in reversed(self._engine.executions) if one.execution_id == execution_id)
        return next((trade_row(one, self._market) for one in found), None)

    # -- paths ------------------------------------------------------------------------------------------------------

    async def orders(self, call: Call) -> object:
        """The first request of a log-in, and one with `force`, only begin to collect: their list is empty."""
        self._portal.primed_accounts()
        if not self._listed or call.flag("force"):
            self._listed = True
            return {"orders": [], "snapshot": False}
        wanted = set(_filters(call.query.get("filters", "")))
        rows = self.today()
        if wanted:
            rows = [row for row in rows if str(row["status"]).lower() in wanted]
        return {"orders": rows, "snapshot": True}

    async def status(self, call: Call) -> object:
        order = self.by_id(call.path["order"])
        if order is None:
            raise WebError(503, f"OrderID {call.path['order']} doesn't exist")
        return status_row(order, self._market)

    async def trades(self, call: Call) -> object:
        days = whole("days", call.query.get("days") or "1")
        if not 1 <= days <= _MOST_DAYS:
            raise WebError(400, f"Bad Request: days {days} is not 1 to {_MOST_DAYS}")
        since = self._engine.midnight() - timedelta(days=days - 1)
        found = [one for one in self._engine.executions if one.time >= since]
        return [_with_commission(one, trade_row(one, self._market)) for one in found]

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/iserver/account/orders", self.orders),
            ("GET", "/iserver/account/order/status/{order}", self.status),
            ("GET", "/iserver/account/trades", self.trades),
            ("GET", "/iserver/account/trades/", self.trades),
        ]


def _filters(text: str) -> Iterator[str]:
    """Yield statuses as orders bear them: `pre_submitted` is PreSubmitted; what is about order alone is left out."""
    for name in text.split(","):
        if name and name != "sort_by_time":
            yield name.replace("_", "").lower()


def _with_commission(one: Execution, row: dict[str, object]) -> dict[str, object]:
    """A combination's own execution has no commission: its legs have."""
    return row if one.combo else {**row, "commission": f"{one.commission:f}"}
