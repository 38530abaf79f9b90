"""Sends positions, account values and profits to the clients that subscribed to them, as far as they are news."""

from collections.abc import Collection, Iterable, Iterator

from services.simulator.core.engine import Engine
from services.simulator.core.valuation import Valuation
from services.simulator.present import accounts as present
from services.simulator.present.accounts import AccountValue
from services.simulator.present.times import exchange_time
from services.simulator.session import ClientSession
from services.simulator.subscriptions import ProfitSubscription, ValueSubscription
from services.simulator.wire import answers
from services.simulator.wire.layout import Values


class Valuations:
    """The accounts at the present prices, each valued when it is first asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, Valuation] = {}

    def __getitem__(self, account_id: str) -> Valuation:
        if account_id not in self._known:
            self._known[account_id] = self._engine.valuation(account_id)
        return self._known[account_id]


class AccountPublisher:
    """Reads one engine's accounts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- after something happened -----------------------------------------------------------------------------------

    def publish_positions(self, sessions: Iterable[ClientSession], moved: Collection[tuple[str, int]]) -> None:
        """Send the positions that moved, by account and contract id, to those who asked to be told."""
        for session in sessions:
            for account_id, contract_id in moved:
                if session.account.positions:
                    session.send(answers.POSITION, self._position(account_id, contract_id))
                for request_id, wanted in session.account.positions_multi.items():
                    if wanted == account_id:
                        self._send_position_multi(session, request_id, account_id, contract_id)

    def publish_values(self, sessions: Iterable[ClientSession]) -> None:
        """Send every subscription the account values and profits that changed since it was last sent any."""
        valuations = self._valuations()
        for session in sessions:
            if session.account.updates is not None:
                self.send_updates(session, session.account.updates, valuations)
            for request_id, subscription in session.account.updates_multi.items():
                self.send_updates_multi(session, request_id, subscription, valuations)
            for request_id, subscription in session.account.summaries.items():
                self.send_summary(session, request_id, subscription, valuations)
            self._send_profits(session, valuations)

    def publish_profit(self, sessions: Iterable[ClientSession]) -> None:
        """Send profits that changed; unlike account values, TWS sends them with every price."""
        valuations = self._valuations()
        for session in sessions:
            self._send_profits(session, valuations)

    # -- one subscription -------------------------------------------------------------------------------------------

    def send_positions(self, session: ClientSession) -> None:
        """Send all positions of all accounts."""
        for account_id, account in self._engine.accounts.items():
            for contract_id in account.held():
                session.send(answers.POSITION, self._position(account_id, contract_id))

    def send_positions_multi(self, session: ClientSession, request_id: int, account_id: str) -> None:
        for contract_id in self._engine.accounts[account_id].held():
            self._send_position_multi(session, request_id, account_id, contract_id)

    def send_updates(
        self, session: ClientSession, subscription: ValueSubscription, valuations: Valuations | None = None
    ) -> None:
        """Send an account's values and portfolio, and the time."""
        valuations = valuations or self._valuations()
        for account_id in subscription.accounts:
            valuation = valuations[account_id]
            for value in _changed(subscription, account_id, present.all_values(valuation)):
                session.send(answers.ACCOUNT_VALUE, _row(value, account_id))
            self._send_portfolio(session, subscription, valuation)
        self._send_time(session)

    def send_updates_multi(
        self,
        session: ClientSession,
        request_id: int,
        subscription: ValueSubscription,
        valuations: Valuations | None = None,
    ) -> None:
        valuations = valuations or self._valuations()
        for account_id in subscription.accounts:
            valuation = valuations[account_id]
            values = _ledger_and_worth(valuation) if subscription.ledger_only else present.all_values(valuation)
            for value in _changed(subscription, account_id, values):
                row = {**_row(value, account_id), "request_id": request_id}
                session.send(answers.ACCOUNT_UPDATE_MULTI, row)

    def send_summary(
        self,
        session: ClientSession,
        request_id: int,
        subscription: ValueSubscription,
        valuations: Valuations | None = None,
    ) -> None:
        """Send the tags asked for, of every account."""
        valuations = valuations or self._valuations()
        for account_id in subscription.accounts:
            values = present.selected_values(valuations[account_id], subscription.tags or frozenset())
            for value in _changed(subscription, account_id, values):
                row = _row(value, account_id)
                row["tag"] = row.pop("key")
                session.send(answers.ACCOUNT_SUMMARY, {**row, "request_id": request_id})

    def send_profit(
        self,
        session: ClientSession,
        request_id: int,
        subscription: ProfitSubscription,
        valuations: Valuations | None = None,
    ) -> None:
        """Send the profit of an account or of one of its positions, if it changed."""
        valuation = (valuations or self._valuations())[subscription.account]
        contract_id = subscription.contract_id
        single = contract_id is not None
        amounts = present.position_profit(valuation, contract_id) if single else present.profit(valuation)
        if amounts == subscription.sent:
            return
        subscription.sent = amounts
        names = (
            ("position", "daily", "unrealized", "realized", "value") if single else ("daily", "unrealized", "realized")
        )
        row = {"request_id": request_id, **dict(zip(names, amounts, strict=True))}
        session.send(answers.PNL_SINGLE if single else answers.PNL, row)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _valuations(self) -> Valuations:
        return Valuations(self._engine)

    def _position(self, account_id: str, contract_id: int) -> Values:
        instrument = self._engine.market.instrument(contract_id)
        return present.position(account_id, instrument, self._engine.accounts[account_id].positions[contract_id])

    def _send_position_multi(self, session: ClientSession, request_id: int, account_id: str, contract_id: int) -> None:
        row = {**self._position(account_id, contract_id), "request_id": request_id}
        session.send(answers.POSITION_MULTI, row)

    def _send_portfolio(self, session: ClientSession, subscription: ValueSubscription, valuation: Valuation) -> None:
        """Send the positions that changed, each with the time; a closed one once more, with quantity 0."""
        for item in valuation.positions:
            contract_id = item.instrument.contract_id
            if not item.position.quantity and contract_id not in subscription.portfolio:
                continue
            row = present.portfolio_item(valuation.account_id, item)
            if subscription.portfolio.get(contract_id) != row:
                subscription.portfolio[contract_id] = row
                session.send(answers.PORTFOLIO, row)
                self._send_time(session)

    def _send_time(self, session: ClientSession) -> None:
        session.send(answers.ACCOUNT_TIME, {"time": exchange_time(self._engine.now)[9:14]})

    def _send_profits(self, session: ClientSession, valuations: Valuations) -> None:
        for request_id, subscription in session.account.profits.items():
            self.send_profit(session, request_id, subscription, valuations)


def _ledger_and_worth(valuation: Valuation) -> Iterator[AccountValue]:
    yield from (value for value in present.summary_values(valuation) if value.key == "NetLiquidation")
    yield from present.ledger_values(valuation)


def _row(value: AccountValue, account_id: str) -> dict[str, str | int]:
    return {"key": value.key, "value": value.value, "currency": value.currency, "account": account_id}


def _changed(
    subscription: ValueSubscription, account_id: str, values: Iterable[AccountValue]
) -> Iterator[AccountValue]:
    for value in values:
        key = account_id, value.key, value.currency
        if subscription.sent.get(key) != value.value:
            subscription.sent[key] = value.value
            yield value
