"""Plays the gateway between the execution core and the simulated broker: orders as it would send them, reports as it
would publish them, quotes as it would stream them.

What the broker's own words mean for an order is decided by the gateway's core, as live.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

from services.backtest.core.desk_words import as_written, name_of, refused_order, reported_order
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import COMBO_CONTRACT_ID, Instrument
from services.simulator.core.orders import (
    Event,
    Executed,
    Execution,
    Notice,
    Order,
    OrderCancelled,
    OrderChanged,
    OrderRequest,
    Status,
)
from services.simulator.core.orders import Leg as OrderLeg
from shared.instruments import parse
from shared.messages.broker import (
    AccountValues,
    BrokerPosition,
    BrokerSnapshot,
    CommissionReported,
    ExecutionReported,
    OrderReported,
)
from shared.messages.broker_commands import CancelOrder, ModifyOrder, OrderTerms, SubmitOrder
from shared.messages.market import Quote
from shared.types import OrderType, QuoteQuality, Side

CLIENT = 1
CENT = Decimal("0.01")
Report: TypeAlias = OrderReported | ExecutionReported | CommissionReported


class Desk:
    """One client of `engine`, trading its first account. Every command returns what the broker says to it, in order."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._instruments: dict[str, Instrument] = {}
        self._ids: dict[str, int] = {}
        self._references: dict[int, OrderTerms] = {}
        self._notices: dict[int, str] = {}

    # Commands

    def submit(self, command: SubmitOrder) -> list[Report]:
        """Send orders; of a parent and its children the last one transmits them all."""
        roots: dict[str, str] = {}
        for terms in command.orders:
            roots[terms.order_ref] = roots[terms.parent] if terms.parent else terms.order_ref
        last = {roots[terms.order_ref]: terms.order_ref for terms in command.orders}
        reports: list[Report] = []
        for terms in command.orders:
            order_id = self.engine.next_order_id(CLIENT)
            self._ids[terms.order_ref], self._references[order_id] = order_id, terms
            transmit = last[roots[terms.order_ref]] == terms.order_ref
            reports += self._told(self.engine.place(self._request(terms, order_id, transmit=transmit)))
        return reports + self._not_taken(command.orders)

    def modify(self, change: ModifyOrder) -> list[Report]:
        """Change a working order; one that is done, or already as wanted, is left alone."""
        order = self._order(change.order_ref)
        if order is None or not order.live:
            return []
        request, limit = order.request, change.limit_price
        if change.net_price is not None:
            limit = change.net_price.signed(Side(request.action))
        wanted = {"limit_price": limit, "aux_price": change.trigger_price, "quantity": change.quantity}
        changed = replace(request, **{name: as_written(value) for name, value in wanted.items() if value is not None})
        return [] if changed == request else self._told(self.engine.place(changed))

    def cancel(self, command: CancelOrder) -> list[Report]:
        order = self._order(command.order_ref)
        if order is None or not order.live:
            return []
        return self._told(self.engine.cancel(CLIENT, order.request.order_id))

    def advance(self, to: datetime) -> list[Report]:
        """Move the market to `to`, at most to the end of its data."""
        return self._told(self.engine.advance(to))

    # Questions

    def snapshot(self) -> BrokerSnapshot:
        """Everything that still matters: working orders, positions, the account. Fills were told when they came."""
        valuation = self.engine.valuation()
        account = self.engine.accounts[valuation.account_id]
        return BrokerSnapshot(
            request_id=None,
            account=AccountValues(
                account=valuation.account_id,
                net_liquidation=valuation.net_liquidation.quantize(CENT),
                cash=valuation.total_cash.quantize(CENT),
                buying_power=valuation.buying_power.quantize(CENT),
            ),
            positions=tuple(
                BrokerPosition(
                    symbol=name_of(self.engine.market.instrument(contract_id)),
                    quantity=held.quantity,
                    average_cost=held.average_cost,
                )
                for contract_id, held in account.positions.items()
                if held.quantity
            ),
            orders=tuple(reported_order(order) for order in self.engine.book.live()),
            executions=(),
            commissions=(),
        )

    def quote(self, symbol: str) -> Quote | None:
        """The present quote; None for what is not listed or never had a price."""
        try:
            instrument = self.instrument(symbol)
        except KeyError:
            return None
        found = self.engine.market.quote(instrument.contract_id, self.engine.now)
        if found is None:
            return None
        return Quote(
            symbol=symbol,
            bid=found.bid if found.bid > 0 else None,
            ask=found.ask if found.ask > 0 else None,
            last=found.last if found.last > 0 else None,
            bid_size=Decimal(found.bid_size),
            ask_size=Decimal(found.ask_size),
            volume=Decimal(found.volume),
            time=found.time.astimezone(UTC),
            quality=QuoteQuality.LIVE,
        )

    def middle(self, symbol: str, at: datetime) -> Decimal:
        """The middle of bid and ask at a tick in which something traded, in the instrument's currency."""
        found = self.engine.market.latest(self.instrument(symbol).contract_id, at)
        assert found is not None  # noqa: S101 - it has traded
        tape, index = found
        return (tape.price(int(tape.bid[index])) + tape.price(int(tape.ask[index]))) / 2

    def instrument(self, symbol: str) -> Instrument:
        """The contract of one of our names, listed or expired. Raises KeyError where there is none."""
        known = self._instruments.get(symbol)
        if known is None:
            named = parse(symbol)
            query = ContractQuery(
                symbol="" if named.local_symbol else named.symbol,
                local_symbol=named.local_symbol,
                security_type=named.security_type,
            )
            found = self.engine.market.catalogue.find(query)
            if not found:
                raise KeyError(f"{symbol} is not in the market")
            known = self._instruments[symbol] = found[0]
        return known

    # Orders on their way out

    def _request(self, terms: OrderTerms, order_id: int, *, transmit: bool) -> OrderRequest:
        limit = terms.net_price.signed(terms.side) if terms.net_price is not None else terms.limit_price
        trigger = terms.trigger_price if terms.order_type is OrderType.STOP else None
        return OrderRequest(
            client_id=CLIENT,
            order_id=order_id,
            contract_id=COMBO_CONTRACT_ID if terms.legs else self.instrument(terms.symbol).contract_id,
            action=terms.side.value,
            quantity=as_written(terms.quantity),
            order_type=terms.order_type.value,
            legs=tuple(
                OrderLeg(self.instrument(leg.symbol).contract_id, leg.ratio, leg.side.value) for leg in terms.legs
            ),
            limit_price=None if limit is None else as_written(limit),
            aux_price=None if trigger is None else as_written(trigger),
            time_in_force=terms.time_in_force.value,
            order_ref=terms.order_ref,
            transmit=transmit,
            parent_id=self._ids[terms.parent] if terms.parent else 0,
        )

    def _order(self, order_ref: str) -> Order | None:
        return self.engine.book.orders.get((CLIENT, self._ids.get(order_ref, 0)))

    def _not_taken(self, orders: Iterable[OrderTerms]) -> list[Report]:
        """Orders that the broker refused, or holds back for ever: what should have transmitted them was refused."""
        found = {terms.order_ref: self._order(terms.order_ref) for terms in orders}
        refused = [
            terms for terms in orders if (order := found[terms.order_ref]) is None or order.status is Status.HELD
        ]
        if refused:
            self.engine.drop_held(CLIENT)
        unknown = "another order of its group was refused"
        return [refused_order(terms, self._notices.get(self._ids[terms.order_ref], unknown)) for terms in refused]

    # Words on their way in

    def _told(self, events: Iterable[Event]) -> list[Report]:
        return [report for event in events for report in self._reports(event)]

    def _reports(self, event: Event) -> Iterator[Report]:
        match event:
            case OrderChanged(order) | OrderCancelled(order):
                yield reported_order(order)
            case Executed(execution):
                yield self._executed(execution)
                if not execution.combo:
                    yield CommissionReported(execution_id=execution.execution_id, commission=execution.commission)
                if not execution.leg:
                    yield reported_order(execution.order)
            case Notice(order_id=order_id, code=code, text=text):
                self._notices[order_id] = f"{code} {text}"
            case _:
                pass  # a position that moved by itself: the next snapshot tells

    def _executed(self, execution: Execution) -> ExecutionReported:
        order_ref = execution.order.request.order_ref
        if execution.combo:
            symbol, multiplier = self._references[execution.order.request.order_id].symbol, Decimal(1)
        else:
            instrument = self.engine.market.instrument(execution.contract_id)
            symbol, multiplier = name_of(instrument), Decimal(instrument.multiplier)
        return ExecutionReported(
            execution_id=execution.execution_id,
            order_ref=order_ref,
            symbol=symbol,
            side=Side.BUY if execution.side == "BOT" else Side.SELL,
            quantity=execution.shares,
            price=execution.price,
            time=execution.time,
            perm_id=execution.order.permanent_id,
            multiplier=multiplier,
            combination=execution.combo,
        )


class Quotes(Mapping[str, Quote]):
    """The present quotes of `symbols`, and of any other listed name; each is computed when it is asked for."""

    def __init__(self, desk: Desk, symbols: Iterable[str]) -> None:
        self._desk = desk
        self._symbols = tuple(symbols)

    def __getitem__(self, symbol: str) -> Quote:
        found = self._desk.quote(symbol)
        if found is None:
            raise KeyError(symbol)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)
