"""The books: what every command and broker report does to orders, fills, positions and the account.

Invariants:
1. An execution id is booked once, whatever is redelivered or repeated.
2. An order is in the books as INTENT before the command that sends it exists.
3. An order that closes a position is for what is held then, and sent only when no other one can close it.
4. Nothing here refuses a fill: what the broker executed is true, even for an order that we believed dead.
5. A corrected execution takes the place of the one before: that is booked back, so that cash stays exact.
6. A combination moves positions by its legs, which the broker reports as well; its fill as a whole moves nothing.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.execution.core import exits
from services.execution.core import order as orders
from services.execution.core.change import Account, Change, Fill
from services.execution.core.order import ENTRY, STOP, Order
from services.execution.core.position import ZERO, Position, book
from services.execution.core.reconcile import compare
from shared.messages.broker import AccountValues, BrokerSnapshot, CommissionReported, ExecutionReported, OrderReported
from shared.messages.broker_commands import CancelOrder, ModifyOrder, SubmitOrder, bracket
from shared.messages.order import (
    CancelEntry,
    ClosePosition,
    CommissionBooked,
    OrderChanged,
    OrderFilled,
    PlaceOrder,
    Reconciled,
)
from shared.types import OrderStatus

_REFUSED = frozenset({OrderStatus.EXPIRED, OrderStatus.REJECTED})


@dataclass
class Books:
    """All that execution knows; rebuilt from the database at start. Without `explain` fills and commissions are booked
    and not told: a backtest reads the books."""

    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    fills: dict[str, Fill] = field(default_factory=dict[str, Fill])
    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    account: Account | None = None
    explain: bool = True
    _early_commissions: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    _replaced: dict[str, str] = field(default_factory=dict[str, str])
    """By the id of an execution, that of its correction."""

    def __post_init__(self) -> None:
        self._replaced = {fill.corrects: fill.execution_id for fill in self.fills.values() if fill.corrects}

    # Commands, from risk

    def place(self, command: PlaceOrder, now: datetime) -> Change:
        """Write the order, and what protects it, down as INTENT and have it sent."""
        change = Change()
        submit = bracket(
            order_id=command.order_id,
            symbol=command.symbol,
            side=command.side,
            quantity=command.quantity,
            limit_price=command.limit_price,
            stop_price=command.stop_price,
            target_price=command.target_price,
            time_in_force=command.time_in_force,
            expires_at=command.expires_at,
            legs=command.legs,
            net_price=command.net_price,
        )
        self._send(submit, command.order_id, command.strategy, now, change)
        return change

    def close(self, command: ClosePosition, now: datetime) -> Change:
        """Move the target, or the exit that works, to a price that trades now; without either, send an exit.

        Nothing to do where nothing is held, and none while a stop works alone: both might fill.
        """
        change = Change()
        entry = self.orders.get(command.order_id)
        if entry is None:
            return change
        closing = list(exits.closing(self.orders, command.order_id))
        alive = [order for order in closing if not order.status.is_final]
        for order in alive:
            if order.leg is not STOP:
                move = ModifyOrder.trusted(
                    order_ref=order.order_ref, limit_price=command.limit_price, net_price=command.net_price
                )
                change.say(move, order.order_ref)
        quantity = exits.held(entry, closing, command.legs, self.positions)
        if not alive and quantity > 0:
            submit = exits.exit_order(entry, closing, command, quantity, now)
            self._send(submit, entry.order_id, entry.strategy, now, change)
        return change

    def _send(self, submit: SubmitOrder, order_id: str, strategy: str, now: datetime, change: Change) -> None:
        for terms in submit.orders:
            order = orders.intended(terms, order_id, strategy, now)
            self.orders[order.order_ref] = change.orders[order.order_ref] = order
        change.say(submit, submit.orders[0].order_ref)

    def cancel_entry(self, command: CancelEntry) -> Change:
        change = Change()
        entry = self.orders.get(command.order_id)
        if entry is not None and not entry.status.is_final:
            change.say(CancelOrder.trusted(order_ref=entry.order_ref), entry.order_ref)
        return change

    # Reports, from the gateway

    def report_order(self, report: OrderReported, now: datetime) -> Change:
        change = Change()
        self._report_order(report, now, change)
        return change

    def report_execution(self, execution: ExecutionReported, now: datetime) -> Change:
        change = Change()
        self._book(execution, now, change)
        return change

    def report_commission(self, report: CommissionReported, now: datetime) -> Change:
        change = Change()
        self._commission(report, now, change)
        return change

    def report_snapshot(self, snapshot: BrokerSnapshot, now: datetime) -> Change:
        """Take over all that the broker knows, then compare: the rest are breaks, and a break keeps trading off."""
        change = Change()
        first = self.account is None
        for execution in snapshot.executions:
            self._book(execution, now, change)
        for commission in snapshot.commissions:
            self._commission(commission, now, change)
        for report in snapshot.orders:
            self._report_order(report, now, change)
        if first:
            self._adopt(snapshot, now, change)
        self._put_account(snapshot.account, now, change)
        reported = {report.order_ref for report in snapshot.orders}
        breaks = compare(self.orders.values(), self.positions.values(), snapshot.positions, reported)
        change.say(Reconciled(request_id=snapshot.request_id, account=snapshot.account, breaks=tuple(breaks)), "")
        return change

    def _report_order(self, report: OrderReported, now: datetime, change: Change) -> None:
        order = self.orders.get(report.order_ref)
        if order is None:
            return  # not ours: placed by hand or by another program
        after = orders.apply(order, report, now)
        if after is order:
            return
        self._put_order(after, order, change)
        if after.status not in _REFUSED:
            return
        if order.leg is STOP and after.status is OrderStatus.REJECTED:
            self._unprotected(self.orders[order.order_id], change)
        if order.leg is ENTRY and not after.filled:
            for child in ("stop", "target"):  # they were never sent, or died with their parent
                protection = self.orders.get(f"{order.order_id}.{child}")
                if protection is not None and protection.status is OrderStatus.INTENT:
                    reason = f"entry {after.status}"
                    dead = protection._replace(status=OrderStatus.CANCELLED, reason=reason, changed_at=now)
                    self._put_order(dead, protection, change)

    def _unprotected(self, entry: Order, change: Change) -> None:
        """The broker refused the stop: what has not filled yet must not fill without it."""
        if not entry.status.is_final:
            change.say(CancelOrder.trusted(order_ref=entry.order_ref), f"unprotected:{entry.order_ref}")

    def _put_order(self, order: Order, before: Order, change: Change) -> None:
        self.orders[order.order_ref] = change.orders[order.order_ref] = order
        if before.status is not order.status or before.filled != order.filled:
            change.say(
                OrderChanged.trusted(
                    order_ref=order.order_ref,
                    order_id=order.order_id,
                    leg=order.leg,
                    strategy=order.strategy,
                    symbol=order.symbol,
                    side=order.side,
                    quantity=order.quantity,
                    status=order.status,
                    previous=before.status,
                    filled=order.filled,
                    reason=order.reason,
                ),
                f"{order.order_ref}:{order.status}:{order.filled}",
            )

    def _book(self, execution: ExecutionReported, now: datetime, change: Change) -> None:
        if execution.execution_id in self.fills or execution.execution_id in self._replaced or execution.combination:
            return
        old = self._newest(execution.corrects) if execution.corrects else None
        if old is not None and old.execution_id > execution.execution_id:
            return  # versions of one execution are numbered; a later one is booked
        if execution.corrects:
            self._replaced[execution.corrects] = execution.execution_id
        if old is not None:
            self._replaced[old.execution_id] = execution.execution_id
        before = old.commission if old else None
        commission = self._early_commissions.pop(execution.execution_id, before)
        after, realised = self._moved(execution, old, (commission or ZERO) - (before or ZERO), now)
        fill = Fill(
            execution.execution_id,
            execution.order_ref,
            execution.symbol,
            execution.side,
            execution.quantity,
            execution.price,
            realised,
            commission,
            execution.time,
            execution.multiplier,
            old.execution_id if old else execution.corrects,
        )
        self._put_fill(fill, after, change)
        if self.explain:
            self._tell(fill, after, change)
            if commission is not None and commission != before:
                self._tell_commission(fill, commission, change)

    def _tell(self, fill: Fill, position: Position, change: Change) -> None:
        order = self.orders.get(fill.order_ref)
        told = OrderFilled.trusted(
            execution_id=fill.execution_id,
            order_ref=fill.order_ref,
            order_id=order.order_id if order else "",
            leg=order.leg if order else ENTRY,
            strategy=order.strategy if order else "EXTERNAL",
            symbol=fill.symbol,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            realised=fill.realised,
            position_quantity=position.quantity,
            average_price=position.average_price,
            time=fill.time,
            corrects=fill.corrects,
        )
        change.say(told, fill.execution_id)

    def _newest(self, execution_id: str) -> Fill | None:
        """The booked version of an execution."""
        while execution_id in self._replaced:
            execution_id = self._replaced[execution_id]
        return self.fills.get(execution_id)

    def _moved(
        self, execution: ExecutionReported, old: Fill | None, commission: Decimal, now: datetime
    ) -> tuple[Position, Decimal]:
        """The position after an execution, with the one that it corrects booked back, and what both realised."""
        position, realised = self._position(execution.symbol, now, commission), ZERO
        if old is not None:
            position, back = book(position, old.side.opposite, old.quantity, old.price * old.multiplier, now)
            realised = old.realised + back
        cost = execution.price * execution.multiplier
        position, gained = book(position, execution.side, execution.quantity, cost, now)
        return position, realised + gained

    def _put_fill(self, fill: Fill, position: Position, change: Change) -> None:
        self.fills[fill.execution_id] = change.fills[fill.execution_id] = fill
        self.positions[fill.symbol] = change.positions[fill.symbol] = position

    def _commission(self, report: CommissionReported, now: datetime, change: Change) -> None:
        fill = self._newest(report.execution_id)
        if fill is None:  # came before its execution; kept until that arrives
            self._early_commissions[report.execution_id] = report.commission
            return
        if fill.commission == report.commission:
            return
        position = self._position(fill.symbol, now, report.commission - (fill.commission or ZERO))
        self._put_fill(fill._replace(commission=report.commission), position, change)
        if self.explain:
            self._tell_commission(fill, report.commission, change)

    def _tell_commission(self, fill: Fill, commission: Decimal, change: Change) -> None:
        message = CommissionBooked.trusted(execution_id=fill.execution_id, symbol=fill.symbol, commission=commission)
        change.say(message, f"{fill.execution_id}:{commission}")

    def _adopt(self, snapshot: BrokerSnapshot, now: datetime, change: Change) -> None:
        """The first look at an account: what it holds beyond today's fills is where our books begin."""
        for held in snapshot.positions:
            ours = self._position(held.symbol, now)
            if ours.quantity != held.quantity:
                adopted = ours._replace(quantity=held.quantity, average_price=held.average_cost)
                self.positions[held.symbol] = change.positions[held.symbol] = adopted

    def _put_account(self, values: AccountValues, now: datetime, change: Change) -> None:
        """`start_cash` makes the first equation hold: cash = start cash + realised - commissions - cost."""
        if self.account is None:
            start = values.cash + sum((_cost(position) for position in self.positions.values()), ZERO)
        else:
            start = self.account.start_cash
        self.account = change.account = Account(values.account, start, values.net_liquidation, values.cash, now)

    def _position(self, symbol: str, now: datetime, commission: Decimal = ZERO) -> Position:
        """Ours in a symbol, with a commission more."""
        known = self.positions.get(symbol)
        if known is None:
            return Position(symbol, ZERO, ZERO, ZERO, commission, now)
        _, quantity, average, realised, commissions, _ = known
        return Position(symbol, quantity, average, realised, commissions + commission, now)


def _cost(position: Position) -> Decimal:
    return position.quantity * position.average_price - position.realised + position.commissions
