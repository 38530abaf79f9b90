"""Orders: place, change, cancel, preview.

`order_id` is the permanent id of the order, so the orders of TWS API clients are seen, and can be cancelled, too.
Assumed, where IBKR does not say: a client's own id (cOID) is taken once, which is when the order is sent on. An order
that the broker refuses is answered with `{"error": text}`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.simulator.core.instruments import Instrument
from services.simulator.core.orders import Order
from services.simulator.entitlement import Access
from services.simulator.web.call import Call, Handler, WebError, instrument
from services.simulator.web.client import WEB_CLIENT_ID
from services.simulator.web.confirmations import Confirmations
from services.simulator.web.order_lists import OrderLists
from services.simulator.web.order_terms import WebOrder, read_order
from services.simulator.web.portal import Asked, Portal, text_of
from services.simulator.web.preview import preview
from services.simulator.web.questions import Question, questions
from services.simulator.wire import requests
from services.simulator.wire.layout import Row, Values

_WARNINGS = frozenset({202, 399, 404, 10349})
"""Errors about an order that goes on, and the one that follows a cancellation; 2100 to 2199 are warnings as well."""
_ENDS = frozenset({"openOrder", "orderStatus", "execDetails", "error"})
_ALL = "-1"
_OBJECTS = TypeAdapter(list[dict[str, Any]])


class OrderPaths:
    def __init__(self, portal: Portal, lists: OrderLists, confirmations: Confirmations) -> None:
        self._portal = portal
        self._lists = lists
        self._engine = portal.engine
        self._market = portal.market
        self._confirmations = confirmations
        self._taken: set[str] = set()
        """Every cOID that was sent to the broker and not refused, also while no answer has come."""
        self._last_order_id = 0

    # -- placing ----------------------------------------------------------------------------------------------------

    async def place(self, call: Call) -> object:
        self._portal.primed_accounts()
        orders = [read_order(self._account(call), body) for body in _bodies(call)]
        self._refuse_known(orders)
        asked = [question for order in orders for question in self._questions(order)]
        return await self._confirmations.proceed(asked, lambda: self._submit(orders))

    def _account(self, call: Call) -> str:
        account = call.path["account"]
        if account not in self._engine.accounts:
            raise WebError(400, f"Bad Request: unknown account {account[:20]}")
        return account

    def _refuse_known(self, orders: Sequence[WebOrder]) -> None:
        """Raise WebError for an id of the client's own that an order has already."""
        for order in orders:
            known = order.reference in self._taken or self._lists.by_reference(order.reference) is not None
            if order.reference and known:
                text = f"Order couldn't be submitted: Local order ID={order.reference} is already registered."
                raise WebError(200, text)

    async def _submit(self, orders: Sequence[WebOrder]) -> object:
        """Send the orders to the broker, the members of a family to be transmitted together; return its answers."""
        self._refuse_known(orders)
        first = self._next_order_id(len(orders))
        numbered = dict(enumerate(orders, first))
        parents = {order_id: self._parent(order, numbered) for order_id, order in numbered.items()}
        roots = {order_id: _root(order_id, parents) for order_id in numbered}
        group = f"web-{first}" if len(orders) > 1 else ""
        sent: dict[int, Asked] = {}
        refused: dict[int, str] = {}
        for order_id, order in numbered.items():
            root = roots[order_id]
            if root in refused:
                continue
            transmit = not any(later > order_id and roots[later] == root for later in numbered)
            own_group = group if order.single_group else ""
            values = order.values(order_id, parents[order_id], group=own_group, transmit=transmit)
            sent[order_id] = self._send(order_id, order, values)
            refusal = _refusal(sent[order_id].messages)
            if refusal is not None:
                refused[root] = refusal
        if refused:
            self._portal.broker.drop_held(WEB_CLIENT_ID)
        return await self._collected(
            numbered, sent, {one: refused[root] for one, root in roots.items() if root in refused}
        )

    def _next_order_id(self, count: int) -> int:
        """Return the first of so many order ids that the broker's session has not used, on its way ones included."""
        first = max(self._engine.next_order_id(WEB_CLIENT_ID), self._last_order_id + 1)
        self._last_order_id = first + count - 1
        return first

    def _parent(self, order: WebOrder, numbered: Mapping[int, WebOrder]) -> int:
        """Return the order id of the parent that an order names by its cOID, 0 if it names none."""
        name = order.parent_reference
        if not name:
            return 0
        for order_id, other in numbered.items():
            if other.reference == name and other is not order:
                return order_id
        found = self._lists.by_reference(name)
        if found is None:
            raise WebError(400, f"Bad Request: parentId {name[:40]!r} is no order's cOID")
        return found.request.order_id

    def _send(self, order_id: int, order: WebOrder, values: Values) -> Asked:
        self._lists.placed[order_id] = order
        self._taken.add(order.reference)
        asked = self._portal.expect(order_id, _ENDS)
        self._portal.send(requests.PLACE, values)
        return asked

    async def _collected(
        self, numbered: Mapping[int, WebOrder], sent: Mapping[int, Asked], refused: dict[int, str]
    ) -> object:
        """Return the answers to orders; `refused` are those of which it is known already that they are refused."""
        rows: list[dict[str, object]] = []
        for order_id, order in numbered.items():
            if order_id not in refused:
                refusal = _refusal(await self._portal.answers(sent[order_id]))
                if refusal is not None:
                    refused[order_id] = refusal
            elif order_id in sent:
                self._portal.dismiss(sent[order_id])
            local = {"local_order_id": order.reference} if order.reference else {}
            failed = {"error": refused[order_id]} if order_id in refused else self._accepted(order_id)
            rows.append({**failed, **local})
        self._taken -= {numbered[order_id].reference for order_id in refused}
        if len(refused) == len(numbered):
            raise WebError(200, next(iter(refused.values())))
        return rows

    def _accepted(self, order_id: int) -> dict[str, object]:
        order = self._engine.book.orders.get((WEB_CLIENT_ID, order_id))
        if order is None:
            raise WebError(503, "Service Unavailable")
        return {
            "order_id": str(order.permanent_id),
            "order_status": str(order.status),
            "encrypt_message": "1",
        }

    # -- questions --------------------------------------------------------------------------------------------------

    def _questions(self, order: WebOrder) -> list[Question]:
        live = all(self._is_live(one) for one in self._instruments(order))
        found = None if order.legs else self._instruments(order)[0]
        quote = None if found is None else self._market.quote(found.contract_id, self._engine.now)
        return list(questions(order, found, quote, live=live))

    def _instruments(self, order: WebOrder) -> list[Instrument]:
        ids = [each for each, _ in order.legs] or [order.contract_id]
        return [instrument(self._market, each) for each in ids]

    def _is_live(self, found: Instrument) -> bool:
        return self._portal.faults.world.access_of(found.symbol) is Access.LIVE

    # -- changing ---------------------------------------------------------------------------------------------------

    async def change(self, call: Call) -> object:
        """New terms for a live order of this API; what the request leaves out of contract and side stays."""
        order = self._lists.by_id(call.path["order"])
        if order is None or order.request.client_id != WEB_CLIENT_ID or not order.live:
            raise WebError(200, f"OrderID {call.path['order'][:20]} doesn't exist or cannot be changed")
        contract = {} if call.body.get("conidex") or call.body.get("conid") else {"conid": order.request.contract_id}
        body = {"side": order.request.action, **contract, **call.body, "cOID": order.request.order_ref}
        changed = read_order(self._account(call), body)
        return await self._confirmations.proceed(self._questions(changed), lambda: self._resubmit(order, changed))

    async def _resubmit(self, order: Order, changed: WebOrder) -> object:
        request = order.request
        values = changed.values(request.order_id, request.parent_id, group=request.oca_group)
        sent = self._send(request.order_id, changed, values)
        return await self._collected({request.order_id: changed}, {request.order_id: sent}, {})

    async def cancel(self, call: Call) -> object:
        account, text = self._account(call), call.path["order"]
        if text == _ALL:
            self._portal.send(requests.GLOBAL_CANCEL, {})
            return {"msg": "Request was submitted", "order_id": -1, "conid": -1, "account": account}
        order = self._lists.by_id(text)
        if order is None:
            raise WebError(200, f"OrderID {text[:20]} doesn't exist")
        request = order.request
        refusal = None
        if not order.live:
            refusal = f"OrderID {order.permanent_id} cannot be cancelled, state: {order.status}"
        elif request.client_id == WEB_CLIENT_ID:
            asked = self._portal.expect(request.order_id, _ENDS)
            self._portal.send(requests.CANCEL_ORDER, {"order_id": request.order_id})
            refusal = _refusal(await self._portal.answers(asked))
        elif self._portal.connected:
            self._portal.broker.cancel(*request.key)
        else:
            raise WebError(503, "Service Unavailable")
        if refusal is not None:
            raise WebError(200, refusal)
        return {
            "msg": "Request was submitted",
            "order_id": order.permanent_id,
            "conid": request.contract_id,
            "account": account,
        }

    # -- preview ----------------------------------------------------------------------------------------------------

    async def what_if(self, call: Call) -> object:
        order = read_order(self._account(call), _bodies(call)[0])
        order_id = self._next_order_id(1)
        asked = self._portal.expect(order_id, _ENDS)
        self._portal.send(requests.PLACE, {**order.values(order_id), "what_if": True})
        messages = await self._portal.answers(asked)
        refusal = _refusal(messages)
        if refusal is not None:
            raise WebError(200, refusal)
        found = self._instruments(order)[0]
        quote = self._market.quote(found.contract_id, self._engine.now)
        return preview(order, messages[-1][1], found.multiplier, quote.last if quote else Decimal(0))

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", "/iserver/account/{account}/orders", self.place),
            ("POST", "/iserver/account/{account}/orders/whatif", self.what_if),
            ("POST", "/iserver/account/{account}/order/{order}", self.change),
            ("DELETE", "/iserver/account/{account}/order/{order}", self.cancel),
        ]


def _bodies(call: Call) -> list[dict[str, Any]]:
    """Return the orders of a request. Raises WebError 400 if there are none."""
    try:
        found = _OBJECTS.validate_python(call.body.get("orders"))
    except ValidationError:
        found = []
    if not found:
        raise WebError(400, "Bad Request: orders is not a list of orders")
    return found


def _root(order_id: int, parents: Mapping[int, int]) -> int:
    """Return the first order of a family, as far as this request goes back."""
    seen = {order_id}
    while (parent := parents.get(order_id, 0)) in parents:
        if parent in seen:
            raise WebError(400, "Bad Request: parentId names an order's own child")
        seen.add(parent)
        order_id = parent
    return order_id


def _refusal(messages: Sequence[tuple[str, Row]]) -> str | None:
    """Return why the broker refuses an order, None if it does not."""
    for name, row in messages:
        code = int(text_of(row, "code") or 0) if name == "error" else 0
        if code and code not in _WARNINGS and not 2100 <= code < 2200:
            return text_of(row, "text")
    return None
