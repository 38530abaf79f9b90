"""Accounts: positions, values and profit, each sent at once and then whenever it changes; exercise of options."""

from decimal import Decimal

from services.simulator.broker import Broker
from services.simulator.core.orders import Order, OrderRequest, Status
from services.simulator.handlers import Handler, contract_or_error
from services.simulator.handlers.orders import client_of
from services.simulator.session import ClientSession
from services.simulator.subscriptions import ProfitSubscription, ValueSubscription
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST_SUMMARIES = 2
"""Account summaries at the same time per client (IBKR, "Account Summary": two active subscriptions)."""
_ALL = "All"
_EXERCISE, _LAPSE = 1, 2


def managed_accounts(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.MANAGED_ACCOUNTS, {"accounts": ",".join(broker.engine.accounts)})


def positions(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.account.positions = True
    broker.accounts.send_positions(session)
    session.send(answers.POSITION_END, {})


def cancel_positions(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    session.account.positions = False


def positions_multi(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    account_id = _account(broker, session, request, request_id)
    if account_id is not None:
        session.account.positions_multi[request_id] = account_id
        broker.accounts.send_positions_multi(session, request_id, account_id)
        session.send(answers.POSITION_MULTI_END, {"request_id": request_id})


def account_updates(broker: Broker, session: ClientSession, request: Request) -> None:
    """One account at a time: another one takes the place of the first."""
    if not request.flag("subscribe"):
        session.account.updates = None
        session.error(-1, 2100, "API client has been unsubscribed from account data.")
        return
    account_id = _account(broker, session, request, -1)
    if account_id is not None:
        session.account.updates = ValueSubscription((account_id,))
        broker.accounts.send_updates(session, session.account.updates)
        session.send(answers.ACCOUNT_DOWNLOAD_END, {"account": account_id})


def account_updates_multi(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    account_id = _account(broker, session, request, request_id)
    if account_id is not None:
        subscription = ValueSubscription((account_id,), ledger_only=request.flag("ledger_and_nlv"))
        session.account.updates_multi[request_id] = subscription
        broker.accounts.send_updates_multi(session, request_id, subscription)
        session.send(answers.ACCOUNT_UPDATE_MULTI_END, {"request_id": request_id})


def account_summary(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id, group = request.integer("request_id"), request.text("group")
    summaries = session.account.summaries
    if request_id not in summaries and len(summaries) >= _MOST_SUMMARIES:
        cause = "Maximum number of account summary requests exceeded; desubscribe to previous request first"
    elif group not in (_ALL, "", *broker.engine.accounts):
        cause = f"Unknown account group '{group}'"  # the text is ours
    else:
        account_ids = (group,) if group in broker.engine.accounts else tuple(broker.engine.accounts)
        tags = frozenset(tag.strip() for tag in request.text("tags").split(","))
        summaries[request_id] = ValueSubscription(account_ids, tags)
        broker.accounts.send_summary(session, request_id, summaries[request_id])
        session.send(answers.ACCOUNT_SUMMARY_END, {"request_id": request_id})
        return
    session.error(request_id, 322, f"Error processing request.-'bR' : cause - {cause}")


def profit(broker: Broker, session: ClientSession, request: Request) -> None:
    """Profit of an account (reqPnL), or of one of its positions (reqPnLSingle)."""
    request_id = request.integer("request_id")
    single = request.message_id == requests.REQUEST_PNL_SINGLE
    account_id = _account(broker, session, request, request_id)
    if account_id is not None:
        subscription = ProfitSubscription(account_id, request.integer("con_id") if single else None)
        session.account.profits[request_id] = subscription
        broker.accounts.send_profit(session, request_id, subscription)


def cancel(broker: Broker, session: ClientSession, request: Request) -> None:
    """End a subscription that has a request id; one that is not there is no error."""
    del broker
    request_id, subscriptions = request.integer("request_id"), session.account
    match request.message_id:
        case requests.CANCEL_POSITIONS_MULTI:
            subscriptions.positions_multi.pop(request_id, None)
        case requests.CANCEL_ACCOUNT_UPDATES_MULTI:
            subscriptions.updates_multi.pop(request_id, None)
        case requests.CANCEL_ACCOUNT_SUMMARY:
            subscriptions.summaries.pop(request_id, None)
        case _:
            subscriptions.profits.pop(request_id, None)


def advisor_data(broker: Broker, session: ClientSession, request: Request) -> None:
    """Only accounts of financial advisors have groups and profiles, and none of these is one."""
    del broker
    request_id = request.integer("request_id", -1)
    text = "Error validating request.-'bN' : cause - FA data operations ignored for non FA customers."
    session.error(request_id, 321, text)


def soft_dollar_tiers(broker: Broker, session: ClientSession, request: Request) -> None:
    """There are none, as in any account without an agreement on them."""
    del broker
    session.send(answers.SOFT_DOLLAR_TIERS, {"request_id": request.integer("request_id")})


def family_codes(broker: Broker, session: ClientSession, request: Request) -> None:
    """None of the accounts belongs to a family."""
    del broker, request
    session.send(answers.FAMILY_CODES, {"codes": [{"account": "*", "family_code": ""}]})


def user_info(broker: Broker, session: ClientSession, request: Request) -> None:
    """The user's white branding id, which users of IBKR itself do not have."""
    del broker
    session.send(answers.USER_INFO, {"request_id": request.integer("request_id")})


def exercise(broker: Broker, session: ClientSession, request: Request) -> None:
    """Ask for the exercise of options in the coming night, or that they lapse at expiry.

    As at a real gateway, an instruction shows as an order under the request's id. It is in no list of orders and never
    heard of again; what comes of it shows in the positions.
    """
    request_id = request.integer("request_id")
    action, quantity = request.integer("exercise_action"), Decimal(request.integer("exercise_quantity"))
    if action not in (_EXERCISE, _LAPSE):
        session.error(request_id, 321, f"Error validating request.-'bV' : cause - Invalid exercise action '{action}'.")
        return
    account_id = _account(broker, session, request, request_id)
    option = contract_or_error(broker, session, request) if account_id is not None else None
    if account_id is None or option is None:
        return
    lapse, override = action == _LAPSE, request.flag("override")
    refusal = broker.engine.refuse_exercise(account_id, option.contract_id, quantity, lapse, override)
    if refusal is not None:
        session.error(request_id, 322, f"Error processing request.{refusal}.")
        return
    broker.exercise(account_id, option.contract_id, quantity, lapse=lapse, override=override)
    kind = "LAPSE" if lapse else "EXERCISE"
    shown = OrderRequest(client_of(session), request_id, option.contract_id, "BUY", quantity, kind, account_id)
    broker.send_order(session, Order(shown, 0, Status.PRE_SUBMITTED, "", shown.key, 0))


def _account(broker: Broker, session: ClientSession, request: Request, request_id: int) -> str | None:
    """Return the account a request names, the first one if it names none; send error 321 if there is none such."""
    account_id = request.text("account")
    if not account_id:
        return next(iter(broker.engine.accounts))
    if account_id in broker.engine.accounts:
        return account_id
    session.error(request_id, 321, f"Error validating request.-'bS' : cause - Invalid account code '{account_id}'.")
    return None


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_MANAGED_ACCOUNTS: managed_accounts,
    requests.REQUEST_POSITIONS: positions,
    requests.CANCEL_POSITIONS: cancel_positions,
    requests.REQUEST_POSITIONS_MULTI: positions_multi,
    requests.CANCEL_POSITIONS_MULTI: cancel,
    requests.REQUEST_ACCOUNT_UPDATES: account_updates,
    requests.REQUEST_ACCOUNT_UPDATES_MULTI: account_updates_multi,
    requests.CANCEL_ACCOUNT_UPDATES_MULTI: cancel,
    requests.REQUEST_ACCOUNT_SUMMARY: account_summary,
    requests.CANCEL_ACCOUNT_SUMMARY: cancel,
    requests.REQUEST_PNL: profit,
    requests.CANCEL_PNL: cancel,
    requests.REQUEST_PNL_SINGLE: profit,
    requests.CANCEL_PNL_SINGLE: cancel,
    requests.REQUEST_FA: advisor_data,
    requests.REPLACE_FA: advisor_data,
    requests.REQUEST_SOFT_DOLLAR_TIERS: soft_dollar_tiers,
    requests.REQUEST_FAMILY_CODES: family_codes,
    requests.REQUEST_USER_INFO: user_info,
    requests.EXERCISE_OPTIONS: exercise,
}
