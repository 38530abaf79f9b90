"""The market scanner, and the display groups of TWS's windows."""

from decimal import Decimal

from services.simulator.broker import Broker
from services.simulator.core.scans import MOST_ROWS, ScanQuery
from services.simulator.data_subscriptions import ScannerLine
from services.simulator.handlers import Handler
from services.simulator.present import scanner as present
from services.simulator.present.order_fields import decimal
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST_SCANS = 10
"""Scans of one client at the same time (IBKR)."""
_ERROR = "Historical Market Data Service error message:"
_GROUPS = "1|2|3|4|5|6|7"
_NO_CONTRACT = "none"


def request_scan(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    if len(session.data.scanners) >= _MOST_SCANS:
        session.error(request_id, 162, f"{_ERROR}Maximum number of scanner subscriptions ({_MOST_SCANS}) reached")
        return
    line = ScannerLine(_query(request))
    try:
        broker.market_data.send_scan(session, request_id, line)
    except ValueError as error:
        session.error(request_id, 162, f"{_ERROR}{error}")
    else:
        session.data.scanners[request_id] = line


def _query(request: Request) -> ScanQuery:
    """Return what is asked for, by the fields of the request or by the tags of its filter options."""
    tags = dict(_tags(request.text("filter_options")))

    def bound(field: str, tag: str) -> Decimal | None:
        if tag in tags:
            return decimal(tag, tags[tag])
        return decimal(field, request.text(field)) if field else None

    volume = bound("above_volume", "volumeAbove")
    return ScanQuery(
        code=request.text("scan_code"),
        location=request.text("location_code"),
        instrument=request.text("instrument"),
        rows=request.integer("rows", MOST_ROWS),
        above_price=bound("above_price", "priceAbove"),
        below_price=bound("below_price", "priceBelow"),
        above_volume=None if volume is None else int(volume),
        above_change=bound("", "changePercAbove"),
        below_change=bound("", "changePercBelow"),
        stock_type=tags.get("stkTypes", request.text("stock_type_filter")),
    )


def _tags(text: str) -> list[tuple[str, str]]:
    """Return the pairs of `tag=value;tag=value;`."""
    return [(name, value) for name, sep, value in (pair.partition("=") for pair in text.split(";")) if sep]


def cancel_scan(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    request_id = request.integer("request_id")
    if session.data.scanners.pop(request_id, None) is None:
        session.error(request_id, 365, f"No scanner subscription found for ticker id:{request_id}")
    else:
        session.error(request_id, 162, f"{_ERROR}API scanner subscription cancelled: {request_id}")


def parameters(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    session.send(answers.SCANNER_PARAMETERS, {"xml": present.parameters()})


# -- display groups ---------------------------------------------------------------------------------------------------


def groups(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.send(answers.DISPLAY_GROUP_LIST, {"request_id": request.integer("request_id"), "groups": _GROUPS})


def watch_group(broker: Broker, session: ClientSession, request: Request) -> None:
    """Tell a client what a group of windows shows, now and whenever it changes."""
    del broker
    request_id, group = request.integer("request_id"), request.integer("group_id")
    session.data.groups[request_id] = group
    shown = session.data.shown_in_groups.get(group, _NO_CONTRACT)
    session.send(answers.DISPLAY_GROUP_UPDATED, {"request_id": request_id, "contract_info": shown})


def change_group(broker: Broker, session: ClientSession, request: Request) -> None:
    """Show another contract in the group that a request watches."""
    del broker
    shown = request.text("contract_info") or _NO_CONTRACT
    group = session.data.groups.get(request.integer("request_id"))
    if group is None:
        return
    session.data.shown_in_groups[group] = shown
    for watcher, watched in session.data.groups.items():
        if watched == group:
            session.send(answers.DISPLAY_GROUP_UPDATED, {"request_id": watcher, "contract_info": shown})


def leave_group(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.data.groups.pop(request.integer("request_id"), None)


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_SCANNER: request_scan,
    requests.CANCEL_SCANNER: cancel_scan,
    requests.REQUEST_SCANNER_PARAMETERS: parameters,
    requests.QUERY_DISPLAY_GROUPS: groups,
    requests.SUBSCRIBE_GROUP_EVENTS: watch_group,
    requests.UPDATE_DISPLAY_GROUP: change_group,
    requests.UNSUBSCRIBE_GROUP_EVENTS: leave_group,
}
