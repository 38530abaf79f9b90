"""What nights do to option positions in a backtest: expiry, exercise, assignment.

The simulated broker moves the positions; here the books, the judge and the trades learn of it. What a settlement
leaves (assigned shares, a leg that has lost the other) is a trade of its own, which the next check of exits closes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.backtest.core.desk import Desk
from services.backtest.core.model import ExitReason
from services.backtest.core.replay_trades import TradeLedger
from services.execution.core import spreads
from services.execution.core.books import Books
from services.risk.core.judge import Judge
from services.risk.core.trade import Trade
from services.simulator.core.corporate import ActionKind, next_night
from services.simulator.core.valuation import mark
from shared.instruments import Instrument, parse
from shared.messages.broker_commands import ComboLeg
from shared.messages.order import OrderFilled
from shared.types import Leg, OrderStatus, Right, Side

ZERO, ONE, SHARES = Decimal(0), Decimal(1), Decimal(100)
_IN_THE_MONEY = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Settled:
    """What a night did to an option: `spot` is the underlying's price that counted, `value` what the option was worth
    by it, both in USD per share; `delivered`: it was turned into shares at the strike."""

    option: Instrument
    spot: Decimal
    value: Decimal
    delivered: bool


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a combination is after a night: `quantity` signed, in shares or contracts of `multiplier` shares."""

    name: str
    symbol: str
    quantity: Decimal
    price: Decimal
    multiplier: Decimal


@dataclass(frozen=True, slots=True)
class Nights:
    """The nights of one backtest."""

    desk: Desk
    books: Books
    judge: Judge
    ledger: TradeLedger

    def settle(self, previous_close: datetime) -> None:
        """Take over what the broker has done to options since the session before; call it once a morning."""
        night = next_night(previous_close)
        settled = {found.option.name: found for found in self._settled(night)}
        for trade in list(self.judge.trades.values()):
            legs = trade.package.legs if trade.package else (ComboLeg(symbol=trade.symbol, side=Side.BUY),)
            if any(leg.symbol in settled for leg in legs):
                self._end(trade, legs, settled, night)

    def _settled(self, night: datetime) -> Iterator[Settled]:
        """Book out the options that the broker no longer holds."""
        account = next(iter(self.desk.engine.accounts.values()))  # the first one is the desk's
        for held in list(self.books.positions.values()):
            if not held.quantity or (option := parse(held.symbol)).expiry is None:
                continue
            gone = abs(held.quantity) - abs(account.quantity(self.desk.instrument(held.symbol).contract_id))
            if gone > 0:
                found = self._how(option, night)
                spreads.settle(self.books, option, gone, None if found.delivered else found.value, night)
                yield found

    def _how(self, option: Instrument, night: datetime) -> Settled:
        """As the simulated broker decides: what is in the money is delivered; a split of the stock ends its options."""
        market, contract = self.desk.engine.market, self.desk.instrument(option.name)
        latest = market.latest(contract.underlying_id, night)
        assert latest is not None  # noqa: S101 - an option that was held has an underlying with prices
        tape, index = latest
        spot = tape.price(int(tape.last[min(index, tape.regular[1])]))
        last_day = min(self.desk.engine.today, option.expiry or self.desk.engine.today)
        actions = market.actions(contract.underlying_id)
        if any(action.kind is ActionKind.SPLIT and tape.day < action.day <= last_day for action in actions):
            return Settled(option, spot, mark(market, contract.contract_id, night) or ZERO, delivered=False)
        inside = spot - contract.strike if option.right is Right.CALL else contract.strike - spot
        return Settled(option, spot, max(inside, ZERO), delivered=inside >= _IN_THE_MONEY)

    def _end(self, trade: Trade, legs: Sequence[ComboLeg], settled: Mapping[str, Settled], night: datetime) -> None:
        if not trade.held:
            return

        def worth(symbol: str) -> Decimal:
            return (settled[symbol].value if symbol in settled else self._mark(symbol, night)) * SHARES

        self.ledger.settled(trade.order_id, night, worth, ExitReason.EXPIRY)
        self.ledger.finished(trade.order_id, trade.filled)
        units = (trade.filled - sum(trade.closed.values(), ZERO)) * trade.side.sign
        rest = [part for part in self._rest(legs, units, settled, night) if part.quantity]
        self.judge.settled(trade.order_id, [self._adopted(trade, part, night) for part in rest])

    def _rest(
        self, legs: Sequence[ComboLeg], units: Decimal, settled: Mapping[str, Settled], night: datetime
    ) -> Iterator[_Rest]:
        shares, spot, stock = ZERO, ZERO, ""
        for leg in legs:
            contracts = units * leg.ratio * leg.side.sign
            found = settled.get(leg.symbol)
            if found is None:
                yield _Rest("leg", leg.symbol, contracts, self._mark(leg.symbol, night), SHARES)
            elif found.delivered:
                shares += contracts * SHARES * (1 if found.option.right is Right.CALL else -1)
                spot, stock = found.spot, found.option.symbol
        yield _Rest("shares", stock, shares, spot, ONE)

    def _adopted(self, trade: Trade, rest: _Rest, night: datetime) -> Trade:
        """Enter what is left into books and ledger at what it was worth; risk closes it."""
        order_id, quantity = f"{trade.order_id}.{rest.name}", abs(rest.quantity)
        side = Side.BUY if rest.quantity > 0 else Side.SELL
        spreads.adopt(self.books, order_id, trade.strategy, rest.symbol, side, quantity, rest.price, night)
        fill = OrderFilled(
            execution_id=order_id,
            order_ref=order_id,
            order_id=order_id,
            leg=Leg.ENTRY,
            strategy=trade.strategy,
            symbol=rest.symbol,
            side=side,
            quantity=quantity,
            price=rest.price,
            realised=ZERO,
            position_quantity=rest.quantity,
            average_price=rest.price * rest.multiplier,
            time=night,
        )
        self.ledger.filled(fill, rest.symbol, side, rest.multiplier, rest.price)
        return Trade(
            order_id=order_id,
            strategy=trade.strategy,
            symbol=rest.symbol,
            side=side,
            approved_at=night,
            entry_status=OrderStatus.FILLED,
            filled=quantity,
            closing="expiry: what a settlement left is closed",
        )

    def _mark(self, symbol: str, night: datetime) -> Decimal:
        """The middle of an option's last quote, USD per share."""
        return mark(self.desk.engine.market, self.desk.instrument(symbol).contract_id, night) or ZERO
