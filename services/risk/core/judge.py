"""The risk service's mind: intents in, approved orders or refusals out; exits; the trading state.

Invariants:
1. No PlaceOrder leaves without a passed check of every rule, and unless the trading state is ACTIVE.
2. The state begins DISABLED; it becomes ACTIVE only on a reconciliation without breaks, and never from HALTED.
3. Exits and cancels are never blocked by limits: they only reduce what is at risk.
4. An approved order counts as a position from the moment of its approval until its bracket is done.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.risk.config import Settings
from services.risk.core.rules import ENTRY_RULES, Proposal
from services.risk.core.sizing import round_down, round_up, shares
from shared.messages.base import Message
from shared.messages.market import Quote
from shared.messages.order import CancelEntry, ClosePosition, OrderChanged, PlaceOrder, Reconcile, Reconciled
from shared.messages.risk import IntentRefused, RuleCheck, TradingStateChanged
from shared.messages.strategy import OrderIntent, Purpose
from shared.types import Leg, OrderStatus, Side, TimeInForce, TradingState

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Trade:
    """An approved bracket that is not done yet; `filled`, `stopped` and `targeted` are its legs' fills in shares."""

    order_id: str
    strategy: str
    symbol: str
    side: Side
    approved_at: datetime
    entry_status: OrderStatus = OrderStatus.INTENT
    filled: Decimal = ZERO
    stopped: Decimal = ZERO
    targeted: Decimal = ZERO
    closing: str | None = None  # why it is being closed

    @property
    def held(self) -> bool:
        return self.filled > self.stopped + self.targeted

    @property
    def done(self) -> bool:
        return self.entry_status.is_final and not self.held


@dataclass(frozen=True, slots=True)
class Equity:
    """The columns of `risk_account`: the account as last reconciled, and its value when the session began."""

    account: str
    net_liquidation: Decimal
    session: str
    session_open_value: Decimal
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one intent; the columns of `decisions`."""

    intent_id: UUID
    intent: OrderIntent
    approved: bool
    code: str | None
    order_id: str | None
    checks: tuple[RuleCheck, ...]
    placed: PlaceOrder | None


@dataclass
class Judge:
    settings: Settings
    state: TradingState = TradingState.DISABLED
    equity: Equity | None = None
    trades: dict[str, Trade] = field(default_factory=dict[str, Trade])

    # Intents

    def judge(
        self, intent_id: UUID, intent: OrderIntent, quotes: Mapping[str, Quote], now: datetime, *, market_open: bool
    ) -> tuple[Verdict, list[Message]]:
        """Decide one intent; the messages carry the decision out."""
        if intent.purpose is Purpose.EXIT:
            return self._judge_exit(intent_id, intent, quotes)
        quote = quotes.get(intent.symbol)
        limit = self._entry_limit(intent, quote)
        proposal = Proposal(
            intent=intent,
            now=now,
            trading_state=self.state,
            market_open=market_open,
            quote=quote,
            limit_price=limit,
            quantity=self._quantity(intent, limit),
            equity=self.equity.net_liquidation if self.equity else None,
            session_open_value=self.equity.session_open_value if self.equity else None,
            occupied=len(self.trades),
            same_open=sum(self._same(trade, intent) for trade in self.trades.values()),
        )
        checks = tuple(rule(proposal, self.settings) for rule in ENTRY_RULES)
        failed = next((check.rule for check in checks if not check.passed), None)
        if failed or limit is None:
            return self._refuse(intent_id, intent, failed or "stale_quote", checks)
        order = self._order(intent_id, proposal, limit, checks)
        self.trades[order.order_id] = Trade(order.order_id, order.strategy, order.symbol, order.side, now)
        return Verdict(intent_id, intent, True, None, order.order_id, checks, order), [order]

    def _judge_exit(
        self, intent_id: UUID, intent: OrderIntent, quotes: Mapping[str, Quote]
    ) -> tuple[Verdict, list[Message]]:
        own = [trade for trade in self.trades.values() if self._same(trade, intent)]
        if not own:
            check = RuleCheck(rule="no_position", value="none open", limit="a position to close", passed=False)
            return self._refuse(intent_id, intent, check.rule, (check,))
        check = RuleCheck(rule="position_to_close", value=own[0].order_id, limit="a position to close", passed=True)
        messages = [message for trade in own for message in self._leave(trade, intent.reason, quotes)]
        return Verdict(intent_id, intent, True, None, own[0].order_id, (check,), None), messages

    def _refuse(
        self, intent_id: UUID, intent: OrderIntent, code: str, checks: tuple[RuleCheck, ...]
    ) -> tuple[Verdict, list[Message]]:
        refusal = IntentRefused(
            intent_id=intent_id, strategy=intent.strategy, symbol=intent.symbol, code=code, checks=checks
        )
        return Verdict(intent_id, intent, False, code, None, checks, None), [refusal]

    @staticmethod
    def _same(trade: Trade, intent: OrderIntent) -> bool:
        return trade.symbol == intent.symbol and trade.strategy == intent.strategy

    def _entry_limit(self, intent: OrderIntent, quote: Quote | None) -> Decimal | None:
        """The price that trades now: the ask for a buy, the bid for a sale."""
        price = (quote.ask if intent.side is Side.BUY else quote.bid) if quote else None
        return price if price and price > 0 else None

    def _quantity(self, intent: OrderIntent, limit: Decimal | None) -> Decimal:
        if limit is None or self.equity is None or intent.stop_distance is None:
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
        stop, target = intent.stop_distance or ZERO, intent.target_distance or limit
        buy = intent.side is Side.BUY
        return PlaceOrder(
            order_id=f"{intent.symbol[:12]}-{proposal.now:%y%m%d}-{intent_id.hex[:8]}",
            strategy=intent.strategy,
            symbol=intent.symbol,
            side=intent.side,
            quantity=proposal.quantity,
            limit_price=round_down(limit, tick) if buy else round_up(limit, tick),
            stop_price=max(round_up(limit - stop, tick), tick) if buy else round_down(limit + stop, tick),
            target_price=round_up(limit + target, tick) if buy else max(round_down(limit - target, tick), tick),
            time_in_force=TimeInForce.DAY,
            expires_at=min(intent.expires_at, proposal.now + timedelta(seconds=self.settings.approval_seconds)),
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
        return messages

    def _leave(self, trade: Trade, reason: str, quotes: Mapping[str, Quote]) -> Iterator[Message]:
        """Cancel an entry that has not filled; close what is held. Without a price the next check tries again."""
        self.trades[trade.order_id] = replace(trade, closing=reason)
        if not trade.entry_status.is_final:
            yield CancelEntry(order_id=trade.order_id, reason=reason)
        quote = quotes.get(trade.symbol)
        price = (quote.bid if trade.side is Side.BUY else quote.ask) if quote else None
        if trade.held and price:
            tick, slippage = self.settings.tick_size, self.settings.exit_slippage
            limit = (
                round_down(price * (1 - slippage), tick)
                if trade.side is Side.BUY
                else round_up(price * (1 + slippage), tick)
            )
            yield ClosePosition(order_id=trade.order_id, symbol=trade.symbol, limit_price=limit, reason=reason)

    # What happened

    def order_changed(self, change: OrderChanged) -> None:
        trade = self.trades.get(change.order_id)
        if trade is None:
            return
        match change.leg:
            case Leg.ENTRY:
                trade = replace(trade, entry_status=change.status, filled=change.filled)
            case Leg.STOP:
                trade = replace(trade, stopped=change.filled)
            case Leg.TARGET:
                trade = replace(trade, targeted=change.filled)
        self.trades[trade.order_id] = trade
        if trade.done:
            del self.trades[trade.order_id]

    def reconciled(self, result: Reconciled, session: str, now: datetime) -> list[Message]:
        """Take over the account; arm when the books agree, disarm when they do not."""
        values, before = result.account, self.equity
        new_session = before is None or before.session != session
        self.equity = Equity(
            values.account,
            values.net_liquidation,
            session,
            values.net_liquidation if new_session or before is None else before.session_open_value,
            now,
        )
        if self.state is TradingState.HALTED:
            return []
        if result.breaks:
            text = "; ".join(f"{item.subject}: ours {item.ours}, broker {item.broker}" for item in result.breaks)
            return self._become(TradingState.DISABLED, f"the books differ from the broker's: {text}", "risk")
        return self._become(TradingState.ACTIVE, "the books agree with the broker's", "risk")

    # People

    def halt(self, actor: str, reason: str) -> list[Message]:
        messages = self._become(TradingState.HALTED, reason, actor)
        for trade in self.trades.values():
            if not trade.entry_status.is_final:
                messages.append(CancelEntry(order_id=trade.order_id, reason=f"halted: {reason}"))
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
