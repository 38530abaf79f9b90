"""What IBKR has said of orders and trades on this connection.

The stream tells what changed of an order, the listing all of it; neither is in step with the other. So what ended stays
ended and what is filled stays filled, whoever speaks last.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.convert import Row
from services.gateway.adapters.web.session import Session
from services.gateway.core.executions import Executions
from services.gateway.ports import RequestRefused
from shared.clock import Clock
from shared.messages.broker import (
    BrokerErrorReported,
    ErrorEffect,
    OrderReported,
)

_CHARGE_SECONDS = 1.0  # between two questions; the limit of the trades makes it five
_CHARGE_ATTEMPTS = 60
_WHOLE = frozenset({"conid", "side", "status", "totalSize"})  # of a listed order; the stream may tell less


class OrderWords:
    """The orders of one connection by orderRef, and its executions.

    Args:
        references: orderRefs by IBKR's order id, also those of earlier connections; learned from here.
        submitting: held while an order is placed whose id is not known before IBKR's answer.
        list_trades: asks for the trades of today.
    """

    def __init__(
        self,
        session: Session,
        contracts: Contracts,
        clock: Clock,
        references: dict[int, str],
        submitting: asyncio.Lock,
        list_trades: Callable[[], Awaitable[Iterable[Row]]],
    ) -> None:
        self.fills = Executions()
        self.rows: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, OrderReported] = {}
        self.live_executions = 0
        self._session = session
        self._contracts = contracts
        self._clock = clock
        self._references = references
        self._submitting = submitting
        self._list_trades = list_trades
        self._charging = False
        self._rows_by_id: dict[int, dict[str, Any]] = {}
        self._mentioned: set[str] = set()
        session.slow["sor"] = self._orders_told
        session.slow["str"] = self._trades_told

    # Orders

    async def _orders_told(self, told: dict[str, Any]) -> None:
        for row in convert.rows(told, "args"):
            self.told(row)

    def begin_listing(self) -> None:
        self._mentioned.clear()
        self.fills.begin_listing()

    def end_listing(self) -> None:
        """The listings were complete: what they did not mention, and nothing else did since, IBKR does not know."""
        self.reports = {ref: report for ref, report in self.reports.items() if ref in self._mentioned}

    def told(self, news: Row) -> None:
        """What changed of an order, or all of it. An order without a reference is not ours."""
        if "orderId" not in news:
            return
        order_id = int(news["orderId"])
        row = self._rows_by_id.setdefault(order_id, {})
        row.update({name: value for name, value in news.items() if value is not None})
        order_ref = str(row.get("order_ref") or self._references.get(order_id) or "")
        if not order_ref or "status" not in row:
            return
        self._references[order_id] = order_ref
        self.rows[order_ref] = row
        self._report(convert.order_report(order_ref, row))

    def _report(self, report: OrderReported) -> None:
        known = self.reports.get(report.order_ref)
        self._mentioned.add(report.order_ref)
        older = known is not None and (
            report.filled < known.filled or (known.status.is_final and not report.status.is_final)
        )
        if not older and report != known:
            self.reports[report.order_ref] = report
            self._session.listener.heard(report)
        self._session.word_on(report.order_ref)

    def taken(self, order_ref: str, row: Row) -> None:
        """IBKR's answer to a new order; the stream may have said more of it already."""
        number = int(row["orderId"])
        self._references[number] = order_ref
        self.told({**row, **self._rows_by_id.get(number, {})})

    def refused(self, report: OrderReported) -> None:
        """IBKR did not take an order; one that it has already is not touched by that."""
        if report.order_ref not in self.reports:
            self._report(report)
            return
        self._session.listener.heard(
            BrokerErrorReported(
                code=0, text=report.reason or "", effect=ErrorEffect.STILL_ALIVE, order_ref=report.order_ref
            )
        )
        self._session.word_on(report.order_ref)

    def strangers(self) -> dict[int, Row]:
        """Orders of which nobody has told whose they are."""
        return {
            number: row
            for number, row in self._rows_by_id.items()
            if number not in self._references and row.keys() >= _WHOLE
        }

    # Trades

    async def _trades_told(self, told: dict[str, Any]) -> None:
        for row in convert.rows(told, "args"):
            self.live_executions += str(row.get("execution_id")) not in self.fills.executions
            await self._traded(row)
        if self._uncharged() and not self._charging:
            self._charging = True
            self._session.start(self._charge())

    async def trades_listed(self, rows: Iterable[Row]) -> None:
        for row in rows:
            await self._traded(row)

    def _uncharged(self) -> bool:
        """Whether the commission of a fill is not known; the fill of a combination as a whole has none."""
        return any(
            not fill.combination and name not in self.fills.commissions for name, fill in self.fills.executions.items()
        )

    async def _charge(self) -> None:
        """Ask for the trades until all commissions are known: the stream does not tell them."""
        refusal = ""
        for _ in range(_CHARGE_ATTEMPTS):
            try:
                await self.trades_listed(await self._list_trades())
            except RequestRefused as error:  # asked again: it may be asked too often just now
                refusal = f": {error}"
            if not self._uncharged():
                break
            await asyncio.sleep(_CHARGE_SECONDS)
        else:
            text = f"the commission of a fill is still not told after {_CHARGE_ATTEMPTS} questions{refusal}"
            self._session.listener.heard(BrokerErrorReported(code=0, text=text, effect=ErrorEffect.UNKNOWN))
        self._charging = False

    async def _traded(self, row: Row) -> None:
        """One row of the trades; what was told before is not heard again."""
        contract_id = row.get("conid")
        combination = row.get("sec_type") == "BAG"
        contract = None if combination or not contract_id else await self._contracts.of(int(contract_id))
        execution = convert.execution(
            row,
            await self._reference(row),
            contract.name if contract is not None else str(row.get("symbol") or ""),
            contract.multiplier if contract is not None else convert.ONE,
        )
        known = self.fills.executions.get(execution.execution_id)
        execution, doubt = self.fills.executed(execution)
        self._clock.observe(execution.time)
        if execution != known:
            self._session.listener.heard(execution)
        if doubt is not None:
            self._session.listener.heard(BrokerErrorReported(code=0, text=doubt, effect=ErrorEffect.UNKNOWN))
        cost = convert.commission(row)
        if cost is not None and self.fills.commissions.get(cost.execution_id) != cost:
            self.fills.charged(cost)
            self._session.listener.heard(cost)
        self._session.word_on(execution.order_ref)

    async def _reference(self, trade: Row) -> str:
        """Whose fill it is. One of an order whose placing is under way waits for the answer, which tells its id."""
        order_id = int(trade.get("order_id") or 0)
        if not trade.get("order_ref") and order_id not in self._references:
            async with self._submitting:
                pass
        return str(trade.get("order_ref") or self._references.get(order_id) or "")
