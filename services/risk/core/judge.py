"""The risk service's mind: intents in, approved orders or refusals out; exits; the trading state.

Invariants:
1. No PlaceOrder leaves without a passed check of every rule, and unless the trading state is ACTIVE.
2. The state begins DISABLED; it becomes ACTIVE only on a reconciliation without breaks, and never from HALTED.
3. Exits and cancels are never blocked, by limits or HALTED: they only reduce what is at risk.
4. An approved order counts as a position from the moment of its approval until all that it bought is sold.
5. A position that has lost its stop is closed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.risk.config import Settings
from services.risk.core import spreads
from services.risk.core.rules import ENTRY_RULES, Proposal, first_broken
from services.risk.core.sizing import round_down, round_up, shares, stop_price, target_price
from services.risk.core.trade import Equity, Trade, Verdict, new_order_id, position_to_close
from shared.calendar import NEW_YORK
from shared.messages.base import Message
from shared.messages.market import Quote
from shared.messages.order import CancelEntry, ClosePosition, OrderChanged, PlaceOrder, Reconcile, Reconciled
from shared.messages.risk import IntentRefused, RuleCheck, TradingStateChanged
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Leg, Side, TimeInForce, TradingState

ZERO = Decimal(0)
BUY, ENTRY, STOP, TARGET = Side.BUY, Leg.ENTRY, Leg.STOP, Leg.TARGET
EXIT, DAY = Purpose.EXIT, TimeInForce.DAY
"""Looked up once: Python 3.11 calls a function for every access to an enum's member, and these decide every order."""


@dataclass
class Judge:
    """All that risk knows. With `explain` every decision carries what each rule found, as text; without, a refusal has
    its code alone."""

    settings: Settings
    state: TradingState = TradingState.DISABLED
    equity: Equity | None = None
    trades: dict[str, Trade] = field(default_factory=dict[str, Trade])
    explain: bool = True
    _same: dict[tuple[str, str], list[Trade]] = field(default_factory=dict[tuple[str, str], list[Trade]])
    """The trades by strategy and symbol."""
    _breaches: int = 0
    """Comparisons in a row that showed the daily loss."""

    def __post_init__(self) -> None:
        self._approval = timedelta(seconds=self.settings.approval_seconds)
        trades, self.trades = self.trades, {}
        for trade in trades.values():
            self.take_on(trade)

    def take_on(self, trade: Trade) -> None:
        """From now on this is a position, or will be one."""
        self.trades[trade.order_id] = trade
        self._same.setdefault((trade.strategy, trade.symbol), []).append(trade)

    # Intents

    def judge(
        self, intent_id: UUID, intent: OrderIntent, quotes: Mapping[str, Quote], now: datetime, *, market_open: bool
    ) -> tuple[Verdict, list[Message]]:
        """Decide one intent; the messages carry the decision out."""
        if intent.purpose is EXIT:
            return self._judge_exit(intent_id, intent, quotes)
        if intent.legs:
            return self._judge_combination(intent_id, intent, quotes, now, market_open=market_open)
        quote = quotes.get(intent.symbol)
        limit = self._entry_limit(intent, quote)
        proposal = Proposal(
            intent,
            now,
            self.state,
            market_open,
            quote,
            limit,
            self._quantity(intent, limit),
            self.equity.net_liquidation if self.equity else None,
            self.equity.session_open_value if self.equity else None,
            occupied=len(self.trades),
            same_open=len(self._own(intent)),
        )
        failed = first_broken(ENTRY_RULES, proposal, self.settings)
        checks = tuple(rule.check(proposal, self.settings) for rule in ENTRY_RULES) if self.explain else ()
        if failed or limit is None:
            return self._refuse(intent_id, intent, failed or "stale_quote", checks)
        order = self._order(intent_id, proposal, limit, checks)
        self.take_on(Trade(order.order_id, order.strategy, order.symbol, order.side, now))
        return Verdict(intent_id, intent, True, None, order.order_id, checks, order), [order]

    def _judge_combination(
        self, intent_id: UUID, intent: OrderIntent, quotes: Mapping[str, Quote], now: datetime, *, market_open: bool
    ) -> tuple[Verdict, list[Message]]:
        """Decide an intent with legs, at its net price and by what it can lose."""
        found = spreads.offer(intent, quotes, self.settings)
        equity = self.equity.net_liquidation if self.equity else None
        proposal = Proposal(
            intent=intent,
            now=now,
            trading_state=self.state,
            market_open=market_open,
            quote=found.quote if found else None,
            limit_price=found.loss if found else None,
            quantity=spreads.quantity(intent, found, equity, self.settings),
            equity=equity,
            session_open_value=self.equity.session_open_value if self.equity else None,
            occupied=len(self.trades),
            same_open=len(self._own(intent)),
        )
        failed = first_broken(spreads.RULES, proposal, self.settings)
        checks = tuple(rule.check(proposal, self.settings) for rule in spreads.RULES) if self.explain else ()
        if not failed and spreads.is_opposed(intent, [one.package for one in self.trades.values() if one.package]):
            failed = "opposite_leg"
        if failed or found is None:
            return self._refuse(intent_id, intent, failed or "leg_quotes", checks)
        order = spreads.place(new_order_id(intent.symbol, now, intent_id), proposal, found, self.settings, checks)
        package = spreads.package_of(intent, found.limit)
        self.take_on(Trade(order.order_id, order.strategy, order.symbol, order.side, now, package=package))
        return Verdict(intent_id, intent, True, None, order.order_id, checks, order), [order]

    def _judge_exit(
        self, intent_id: UUID, intent: OrderIntent, quotes: Mapping[str, Quote]
    ) -> tuple[Verdict, list[Message]]:
        own = self._own(intent)
        checks = (position_to_close(own),) if self.explain else ()
        if not own:
            return self._refuse(intent_id, intent, "no_position", checks)
        messages = [message for trade in own for message in self._leave(trade, intent.reason, quotes)]
        return Verdict(intent_id, intent, True, None, own[0].order_id, checks, None), messages

    def _refuse(
        self, intent_id: UUID, intent: OrderIntent, code: str, checks: tuple[RuleCheck, ...]
    ) -> tuple[Verdict, list[Message]]:
        refusal = IntentRefused.trusted(
            intent_id=intent_id, strategy=intent.strategy, symbol=intent.symbol, code=code, checks=checks
        )
        return Verdict(intent_id, intent, False, code, None, checks, None), [refusal]

    def _own(self, intent: OrderIntent) -> list[Trade]:
        return self._same.get((intent.strategy, intent.symbol), [])

    def _entry_limit(self, intent: OrderIntent, quote: Quote | None) -> Decimal | None:
        """The price that trades now: the ask for a buy, the bid for a sale."""
        price = (quote.ask if intent.side is BUY else quote.bid) if quote else None
        return price if price and price > ZERO else None

    def _quantity(self, intent: OrderIntent, limit: Decimal | None) -> Decimal:
        """The strategy's own wish, or what the sizer gives; the rules judge either."""
        if intent.quantity is not None:
            return intent.quantity
        if limit is None or self.equity is None:
            return ZERO
        settings = self.settings
        return shares(
            self.equity.net_liquidation,
            limit,
            intent.stop_distance,
            settings.risk_per_trade,
            settings.max_position_fraction,
        )

    def _order(self, intent_id: UUID, proposal: Proposal, limit: Decimal, checks: tuple[RuleCheck, ...]) -> PlaceOrder:
        intent, tick = proposal.intent, self.settings.tick_size
        stop, target = intent.stop_distance, intent.target_distance
        if target is None and stop is not None:
            target = limit  # far away: it fills when it is moved
        return PlaceOrder.trusted(
            order_id=new_order_id(intent.symbol, proposal.now, intent_id),
            strategy=intent.strategy,
            symbol=intent.symbol,
            side=intent.side,
            quantity=proposal.quantity,
            limit_price=round_down(limit, tick) if intent.side is BUY else round_up(limit, tick),
            stop_price=None if stop is None else stop_price(intent.side, limit, stop, tick),
            target_price=None if target is None else target_price(intent.side, limit, target, tick),
            time_in_force=DAY,
            expires_at=min(intent.expires_at, proposal.now + self._approval),
            checks=checks,
        )

    # Exits

    def check_exits(self, quotes: Mapping[str, Quote], now: datetime) -> list[Message]:
        """Close what is held for too long, and price again what should be closed but is not."""
        messages: list[Message] = []
        for trade in list(self.trades.values()):
            age = (now - trade.approved_at).days
            if trade.closing:
                messages += self._leave(trade, trade.closing, quotes)
            elif trade.held and age >= self.settings.max_holding_days:
                messages += self._leave(trade, f"held for {age} days", quotes)
            elif trade.held and trade.package:
                net = spreads.net_quote(trade.symbol, trade.package.legs, quotes)
                reason = spreads.exit_reason(trade.package, net, now.astimezone(NEW_YORK).date())
                messages += self._leave(trade, reason, quotes) if reason else ()
        return messages

    def _leave(self, trade: Trade, reason: str, quotes: Mapping[str, Quote]) -> Iterator[Message]:
        """Cancel an entry that has not filled; close what is held. Without a price the next check tries again."""
        trade.closing = reason
        if not trade.entry_status.is_final:
            yield CancelEntry.trusted(order_id=trade.order_id, reason=reason)
        if trade.package:
            net = spreads.net_quote(trade.symbol, trade.package.legs, quotes)
            order = spreads.close(trade.order_id, trade.symbol, trade.package, net, reason, self.settings)
            if trade.held and order:
                yield order
            return
        quote = quotes.get(trade.symbol)
        price = (quote.bid if trade.side is BUY else quote.ask) if quote else None
        if trade.held and price:
            tick, slippage = spreads.tick_size(trade.symbol, price, self.settings), self.settings.exit_slippage
            limit = (
                round_down(price * (1 - slippage), tick)
                if trade.side is BUY
                else round_up(price * (1 + slippage), tick)
            )
            yield ClosePosition.trusted(order_id=trade.order_id, symbol=trade.symbol, limit_price=limit, reason=reason)

    # What happened

    def order_changed(self, change: OrderChanged, quotes: Mapping[str, Quote]) -> list[Message]:
        """Keep count of what is held. What was bought after all is closed as well, and without the target if that died
        meanwhile; where a stop has died, ask for a comparison, because its fill may be on the way."""
        trade = self.trades.get(change.order_id)
        if trade is None:
            return []
        more = change.leg is ENTRY and change.filled > trade.filled
        if change.leg is ENTRY:
            trade.entry_status, trade.filled = change.status, change.filled
        else:
            trade.closed[change.order_ref] = change.filled
        if trade.done:
            self._let_go(trade)
        elif trade.closing and (more or (change.leg is TARGET and change.status.is_final)):
            return list(self._leave(trade, trade.closing, quotes))
        elif change.leg is STOP and change.status.is_final and trade.held:
            return [Reconcile()]
        return []

    def settled(self, order_id: str, rest: Iterable[Trade]) -> None:
        """A combination, or a leg of one, has expired or was assigned; what that left takes its place."""
        self._let_go(self.trades[order_id])
        for trade in rest:
            self.take_on(trade)

    def _let_go(self, trade: Trade) -> None:
        del self.trades[trade.order_id]
        self._same[trade.strategy, trade.symbol].remove(trade)

    def reconciled(self, result: Reconciled, session: str, now: datetime, quotes: Mapping[str, Quote]) -> list[Message]:
        """Take over the account; close what has lost its stop; arm when the books agree, disarm when they do not."""
        values, before = result.account, self.equity
        new_session = before is None or before.session != session
        self.equity = Equity(
            values.account,
            values.net_liquidation,
            session,
            values.net_liquidation if new_session or before is None else before.session_open_value,
            now,
        )
        unprotected = [self.trades[item.unprotected] for item in result.breaks if item.unprotected in self.trades]
        exits = [message for trade in unprotected for message in self._leave(trade, "its stop is gone", quotes)]
        if self.state is TradingState.HALTED:
            return exits
        if result.breaks:
            text = "; ".join(f"{item.subject}: ours {item.ours}, broker {item.broker}" for item in result.breaks)
            return [*exits, *self._become(TradingState.DISABLED, f"the books differ from the broker's: {text}", "risk")]
        return self._watch_loss(self.equity) or self._become(
            TradingState.ACTIVE, "the books agree with the broker's", "risk"
        )

    def _watch_loss(self, equity: Equity) -> list[Message]:
        """Halt once a daily loss is confirmed by comparisons in a row: one figure alone may be a wrong one.

        Who resumes with the loss still there is not halted for it again; entries stay refused (`rules.daily_loss`).
        """
        lost, wanted = equity.loss >= self.settings.max_daily_loss, self.settings.loss_confirmations
        self._breaches = self._breaches + 1 if lost else 0
        if 0 < self._breaches < wanted:
            return [Reconcile()]
        if self._breaches == wanted:
            return self.halt("risk", f"daily loss {equity.loss:.2%}, seen {self._breaches} times in a row")
        return []

    # People

    def halt(self, actor: str, reason: str) -> list[Message]:
        messages = self._become(TradingState.HALTED, reason, actor)
        for trade in self.trades.values():
            if not trade.entry_status.is_final:
                messages.append(CancelEntry(order_id=trade.order_id, reason=f"halted: {reason}"))
        return messages

    def flatten(self, actor: str, reason: str, quotes: Mapping[str, Quote]) -> list[Message]:
        """Halt, and close all that is held; once more prices again what is still there."""
        messages = self._become(TradingState.HALTED, reason, actor)
        for trade in self.trades.values():
            messages += self._leave(trade, f"flattened: {reason}", quotes)
        return messages

    def resume(self, actor: str, reason: str) -> list[Message]:
        """Leave HALTED; trading is armed by the reconciliation that this asks for."""
        if self.state is not TradingState.HALTED:
            return []
        return [*self._become(TradingState.DISABLED, reason, actor), Reconcile()]

    def _become(self, state: TradingState, reason: str, actor: str) -> list[Message]:
        previous, self.state = self.state, state
        if previous is state:
            return []
        return [TradingStateChanged(state=state, previous=previous, reason=reason, actor=actor)]
