"""The control routes: virtual time, the log of received orders, and the account, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.broker import Broker


def control_routes(broker: Broker) -> list[BaseRoute]:
    """GET /clock, POST /advance?to=TIME, GET /orders, GET /account."""

    async def clock(_: Request) -> Response:
        return JSONResponse(clock_state(broker))

    async def advance(request: Request) -> Response:
        """Move time to `to`; answered when all that follows is queued for the clients. An earlier time does nothing."""
        text = request.query_params.get("to", "")
        try:
            # a plus sign in a query means a space
            to = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            return _refused(text, "not an ISO 8601 time")
        if to.tzinfo is None:
            return _refused(text, "without a time zone")
        broker.advance(to)
        return JSONResponse(clock_state(broker))

    async def orders(_: Request) -> Response:
        return JSONResponse([_texts(asdict(entry)) for entry in broker.engine.received])

    async def account(_: Request) -> Response:
        return JSONResponse(account_state(broker))

    return [
        Route("/clock", clock),
        Route("/advance", advance, methods=["POST"]),
        Route("/orders", orders),
        Route("/account", account),
    ]


def _refused(text: str, why: str) -> Response:
    return JSONResponse({"error": f"to: {text!r} is {why}; send one like 2010-01-04T21:00:00Z"}, status_code=400)


def clock_state(broker: Broker) -> dict[str, object]:
    """Return the virtual time (UTC) and where it stands; `last_session` is the exchange's date of the last open."""
    engine = broker.engine
    opens = engine.market.next_open(engine.now)
    begun = [session.day for session in engine.market.sessions if session.open <= engine.now]
    return {
        "now": engine.now.isoformat(),
        "session_open": engine.market.session_at(engine.now) is not None,
        "next_open": None if opens is None or engine.finished else opens.isoformat(),
        "last_session": begun[-1].isoformat() if begun else None,
        "finished": engine.finished,
    }


def account_state(broker: Broker) -> dict[str, object]:
    """Return the account in USD, amounts as text; `realized` is net of commissions."""
    engine = broker.engine
    valuation = engine.valuation()
    positions = {
        symbol: {"quantity": str(position.quantity), "cost": str(position.cost), "realized": str(position.realized)}
        for symbol, position in engine.account.positions.items()
    }
    return {
        "cash": str(valuation.cash),
        "net_liquidation": str(valuation.net_liquidation),
        "realized": str(valuation.realized),
        "unrealized": str(valuation.unrealized),
        "commissions": str(valuation.commissions),
        "positions": positions,
    }


def _texts(entry: Mapping[str, object]) -> dict[str, object]:
    """Return an entry with amounts and times as text."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else value
        for key, value in entry.items()
    }
