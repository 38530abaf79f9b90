"""The control routes: virtual time, orders, executions, accounts and faults, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.simulator.broker import Broker
from services.simulator.core.account import Account
from services.simulator.core.orders import Execution
from services.simulator.faults import Script, load, scenarios
from services.simulator.faults.effects import Effect
from services.simulator.faults.injector import Faults
from shared.config import ConfigError

_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


def control_routes(broker: Broker, faults: Faults) -> list[BaseRoute]:
    """GET /clock, /orders, /account, /executions, /positions; POST /advance?to=TIME; and the faults' routes."""

    async def clock(_: Request) -> Response:
        return JSONResponse(clock_state(broker))

    async def advance(request: Request) -> Response:
        """Move time to `to`; answered when all that follows is queued for the clients. An earlier time does nothing."""
        text = request.query_params.get("to", "")
        try:
            # a plus sign in a query means a space
            to = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            return _time_refused(text, "not an ISO 8601 time")
        if to.tzinfo is None:
            return _time_refused(text, "without a time zone")
        broker.advance(to)
        return JSONResponse(clock_state(broker))

    async def orders(_: Request) -> Response:
        return JSONResponse([_texts(asdict(entry)) for entry in broker.engine.received])

    async def account(_: Request) -> Response:
        return JSONResponse(account_state(broker))

    async def executions(_: Request) -> Response:
        return JSONResponse([_execution_state(execution) for execution in broker.engine.executions])

    async def positions(_: Request) -> Response:
        accounts = broker.engine.accounts
        return JSONResponse({name: _positions(broker, account) for name, account in accounts.items()})

    return [
        Route("/clock", clock),
        Route("/advance", advance, methods=["POST"]),
        Route("/orders", orders),
        Route("/account", account),
        Route("/executions", executions),
        Route("/positions", positions),
        *_fault_routes(faults),
    ]


def _fault_routes(faults: Faults) -> list[BaseRoute]:
    """GET, POST, DELETE /faults; POST /faults/release; POST /faults/EFFECT; GET /scenarios.

    POST /faults takes a rule, `{"rule": [...]}`, or `{"scenario": "name"}`; POST /faults/EFFECT the effect's fields,
    and lets it happen at once.
    """

    async def listed(_: Request) -> Response:
        return JSONResponse({"rules": faults.rules()})

    async def added(request: Request) -> Response:
        try:
            script = _script(await _body(request))
            numbers = faults.add(script)
        except (ValueError, ConfigError) as error:
            return _refused(_reason(error))
        return JSONResponse({"added": numbers}, status_code=201)

    async def cleared(_: Request) -> Response:
        faults.clear()
        return JSONResponse({"rules": []})

    async def released(_: Request) -> Response:
        faults.release()
        return JSONResponse({})

    async def fired(request: Request) -> Response:
        try:
            body = await _body(request)
            effect = _EFFECT.validate_python({**body, "effect": request.path_params["effect"]})
            faults.fire(effect)
        except ValueError as error:
            return _refused(_reason(error))
        return JSONResponse({})

    async def known(_: Request) -> Response:
        return JSONResponse(scenarios())

    return [
        Route("/faults", listed),
        Route("/faults", added, methods=["POST"]),
        Route("/faults", cleared, methods=["DELETE"]),
        Route("/faults/release", released, methods=["POST"]),
        Route("/faults/{effect}", fired, methods=["POST"]),
        Route("/scenarios", known),
    ]


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object sent. Raises ValueError for anything else."""
    text = await request.body()
    try:
        body = json.loads(text or b"{}")
    except ValueError as error:
        raise ValueError(f"body: not JSON ({error}); send an object") from error
    return _OBJECT.validate_python(body)


def _script(body: dict[str, Any]) -> Script:
    if "scenario" in body:
        return load(str(body["scenario"]))
    return Script.model_validate(body if "rule" in body else {"rule": [body]})


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}, got {first['input']!r}"


def _refused(reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=400)


def _time_refused(text: str, why: str) -> Response:
    return _refused(f"to: {text!r} is {why}; send one like 2010-01-04T21:00:00Z")


# -- states -----------------------------------------------------------------------------------------------------------


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
    """Return the first account in USD, amounts as text, and all of them in `accounts`.

    `realized` is net of commissions. Positions are by local symbol, which for a stock is its symbol.
    """
    states = {name: _account_state(broker, name, account) for name, account in broker.engine.accounts.items()}
    return {**next(iter(states.values())), "accounts": states}


def _account_state(broker: Broker, name: str, account: Account) -> dict[str, object]:
    valuation = broker.engine.valuation(name)
    return {
        "cash": str(valuation.cash),
        "net_liquidation": str(valuation.net_liquidation),
        "realized": str(valuation.realized),
        "unrealized": str(valuation.unrealized),
        "commissions": str(valuation.commissions),
        "positions": _positions(broker, account),
    }


def _positions(broker: Broker, account: Account) -> dict[str, dict[str, str]]:
    return {
        broker.engine.market.instrument(contract_id).local_symbol: {
            "quantity": str(position.quantity),
            "cost": str(position.cost),
            "realized": str(position.realized),
        }
        for contract_id, position in account.positions.items()
    }


def _execution_state(execution: Execution) -> dict[str, object]:
    request = execution.order.request
    return {
        "execution_id": execution.execution_id,
        "order_ref": request.order_ref,
        "client_id": request.client_id,
        "order_id": request.order_id,
        "account": execution.account,
        "contract_id": execution.contract_id,
        "time": execution.time.isoformat(),
        "side": execution.side,
        "shares": str(execution.shares),
        "price": str(execution.price),
        "commission": str(execution.commission),
        "combo": execution.combo,
        "leg": execution.leg,
    }


def _texts(entry: Mapping[str, object]) -> dict[str, object]:
    """Return an entry with amounts and times as text."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else value
        for key, value in entry.items()
    }
