"""Positions, account values, summaries and profit: each is sent at once and then whenever it changes."""

from services.simulator.broker import Broker
from services.simulator.handlers import Handler
from services.simulator.session import ClientSession, ValueSubscription
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request


def managed_accounts(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.MANAGED_ACCOUNTS, {"accounts": broker.account})


def positions(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.positions = True
    held = [symbol for symbol, position in broker.engine.account.positions.items() if position.quantity]
    broker.publisher.send_positions(session, held)
    session.send(answers.POSITION_END, {})


def cancel_positions(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    session.positions = False


def account_updates(broker: Broker, session: ClientSession, request: Request) -> None:
    if not request.flag("subscribe"):
        session.account_updates = None
    elif _account_known(broker, session, request, -1):
        session.account_updates = ValueSubscription()
        broker.publisher.send_account_updates(session, session.account_updates, broker.engine.valuation())
        session.send(answers.ACCOUNT_DOWNLOAD_END, {"account": broker.account})


def account_updates_multi(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    if _account_known(broker, session, request, request_id):
        subscription = session.account_updates_multi[request_id] = ValueSubscription()
        valuation = broker.engine.valuation()
        broker.publisher.send_account_updates_multi(session, request_id, subscription, valuation)
        session.send(answers.ACCOUNT_UPDATE_MULTI_END, {"request_id": request_id})


def cancel_account_updates_multi(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.account_updates_multi.pop(request.integer("request_id"), None)


def account_summary(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    tags = frozenset(tag.strip() for tag in request.text("tags").split(","))
    subscription = session.account_summaries[request_id] = ValueSubscription(tags)
    broker.publisher.send_summary(session, request_id, subscription, broker.engine.valuation())
    session.send(answers.ACCOUNT_SUMMARY_END, {"request_id": request_id})


def cancel_account_summary(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.account_summaries.pop(request.integer("request_id"), None)


def profit(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    if _account_known(broker, session, request, request_id):
        session.profit[request_id] = ()
        broker.publisher.send_profit(session, request_id, broker.engine.valuation())


def cancel_profit(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.profit.pop(request.integer("request_id"), None)


def _account_known(broker: Broker, session: ClientSession, request: Request, request_id: int) -> bool:
    account = request.text("account")
    known = account in ("", broker.account)
    if not known:
        session.error(request_id, 321, f"Error validating request.-'bS' : cause - Invalid account code '{account}'.")
    return known


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_MANAGED_ACCOUNTS: managed_accounts,
    requests.REQUEST_POSITIONS: positions,
    requests.CANCEL_POSITIONS: cancel_positions,
    requests.REQUEST_ACCOUNT_UPDATES: account_updates,
    requests.REQUEST_ACCOUNT_UPDATES_MULTI: account_updates_multi,
    requests.CANCEL_ACCOUNT_UPDATES_MULTI: cancel_account_updates_multi,
    requests.REQUEST_ACCOUNT_SUMMARY: account_summary,
    requests.CANCEL_ACCOUNT_SUMMARY: cancel_account_summary,
    requests.REQUEST_PNL: profit,
    requests.CANCEL_PNL: cancel_profit,
}
