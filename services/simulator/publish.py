"""Pushes quotes, real-time bars, positions and account values to the clients that subscribed to them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain

from services.simulator import present
from services.simulator.core.account import Valuation
from services.simulator.core.engine import Engine
from services.simulator.core.market import Quote, Session
from services.simulator.present import AccountValue
from services.simulator.session import ClientSession, ValueSubscription
from services.simulator.wire import answers

LEDGER_TAG = "$LEDGER"
_REAL_TIME_BAR = timedelta(seconds=5)


def send_quote(session: ClientSession, request_id: int, quote: Quote, sent: dict[int, object]) -> None:
    """Send the ticks of a quote that differ from those in `sent`, which is brought up to date."""
    for tick_type, price, size in present.price_ticks(quote):
        if sent.get(tick_type) != (price, size):
            sent[tick_type] = (price, size)
            session.put(answers.tick_price(request_id, tick_type, price, size))
    for tick_type, value in present.value_ticks(quote):
        if sent.get(tick_type) != value:
            sent[tick_type] = value
            session.put(answers.tick_value(request_id, tick_type, value))


class AccountPublisher:
    """Reads one engine's account and sends what a client has not got yet."""

    def __init__(self, engine: Engine, account: str) -> None:
        self._engine = engine
        self._account = account

    def send_positions(self, session: ClientSession, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            position = self._engine.account.positions[symbol]
            listing = self._engine.instruments.by_symbol[symbol]
            session.send(
                answers.POSITION,
                {
                    **present.contract(listing, listing.primary_exchange),
                    "account": self._account,
                    "position": position.quantity,
                    "average_cost": present.average_cost(position),
                },
            )

    def send_account(self, session: ClientSession) -> None:
        """Send every account subscription of the session the values that changed since it was last sent any."""
        valuation = self._engine.valuation()
        if session.account_updates is not None:
            self.send_account_updates(session, session.account_updates, valuation)
        for request_id, subscription in session.account_updates_multi.items():
            self.send_account_updates_multi(session, request_id, subscription, valuation)
        for request_id, subscription in session.account_summaries.items():
            self.send_summary(session, request_id, subscription, valuation)
        for request_id in session.profit:
            self.send_profit(session, request_id, valuation)

    def send_account_updates(
        self, session: ClientSession, subscription: ValueSubscription, valuation: Valuation
    ) -> None:
        everything = chain(
            [AccountValue("AccountCode", self._account, ""), AccountValue("AccountReady", "true", "")],
            present.summary_values(valuation),
            present.ledger_values(valuation),
        )
        for value in _changed(subscription, everything):
            session.send(
                answers.ACCOUNT_VALUE,
                {"key": value.key, "value": value.value, "currency": value.currency, "account": self._account},
            )
        self._send_portfolio(session)
        time = present.exchange_time(self._engine.now)[9:14]
        session.send(answers.ACCOUNT_TIME, {"time": time})

    def _send_portfolio(self, session: ClientSession) -> None:
        for symbol, position in self._engine.account.positions.items():
            price = self._engine.last_price(symbol)
            if price is not None:
                listing = self._engine.instruments.by_symbol[symbol]
                session.send(answers.PORTFOLIO, present.portfolio_item(listing, position, price, self._account))

    def send_account_updates_multi(
        self, session: ClientSession, request_id: int, subscription: ValueSubscription, valuation: Valuation
    ) -> None:
        everything = chain(present.summary_values(valuation), present.ledger_values(valuation))
        for value in _changed(subscription, everything):
            session.send(
                answers.ACCOUNT_UPDATE_MULTI,
                {
                    "request_id": request_id,
                    "account": self._account,
                    "key": value.key,
                    "value": value.value,
                    "currency": value.currency,
                },
            )

    def send_summary(
        self, session: ClientSession, request_id: int, subscription: ValueSubscription, valuation: Valuation
    ) -> None:
        """Send the tags asked for; a tag that begins with `$LEDGER` asks for the values by currency."""
        tags = subscription.tags or frozenset()
        wanted = [value for value in present.summary_values(valuation) if value.key in tags]
        if any(tag.startswith(LEDGER_TAG) for tag in tags):
            wanted += present.ledger_values(valuation)
        for value in _changed(subscription, wanted):
            session.send(
                answers.ACCOUNT_SUMMARY,
                {
                    "request_id": request_id,
                    "account": self._account,
                    "tag": value.key,
                    "value": value.value,
                    "currency": value.currency,
                },
            )

    def send_profit(self, session: ClientSession, request_id: int, valuation: Valuation) -> None:
        """Send the day's, the open and the realized profit, if one of them changed."""
        amounts = (valuation.daily, valuation.unrealized, valuation.realized)
        texts = tuple(present.money(amount) for amount in amounts)
        if session.profit[request_id] != texts:
            session.profit[request_id] = texts
            daily, unrealized, realized = texts
            session.send(
                answers.PNL,
                {"request_id": request_id, "daily": daily, "unrealized": unrealized, "realized": realized},
            )

    def send_real_time_bars(self, session: ClientSession, request_id: int, symbol: str, before: datetime) -> None:
        """Send one five-second bar per tick after `before`. The bar starts at its tick, the closing one ends at it."""
        market = self._engine.market
        for trading in market.sessions_between(before, self._engine.now):
            first = market.last_tick(trading, before) + 1
            for index in range(first, market.last_tick(trading, self._engine.now) + 1):
                quote = market.quote_at_tick(symbol, trading, index)
                if quote is not None:
                    self._send_bar(session, request_id, quote, trading)

    def _send_bar(self, session: ClientSession, request_id: int, quote: Quote, trading: Session) -> None:
        start = min(quote.time, trading.close - _REAL_TIME_BAR)
        prices = dict.fromkeys(("open", "high", "low", "close", "average"), quote.last)
        session.send(
            answers.REAL_TIME_BAR,
            {
                "request_id": request_id,
                "time": int(start.timestamp()),
                **prices,
                "volume": quote.last_size,
                "count": 1,
            },
        )


def _changed(subscription: ValueSubscription, values: Iterable[AccountValue]) -> list[AccountValue]:
    fresh = [value for value in values if subscription.sent.get((value.key, value.currency)) != value.value]
    for value in fresh:
        subscription.sent[value.key, value.currency] = value.value
    return fresh
