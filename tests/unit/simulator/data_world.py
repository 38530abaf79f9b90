"""A synthetic market of every kind of instrument, and a client session whose messages are kept."""

import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from services.simulator.adapters.journal import Journal
from services.simulator.adapters.prices import load_market
from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.commissions import Commissions
from services.simulator.core.engine import Engine
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.handlers.dispatch import dispatch
from services.simulator.session import ClientSession
from services.simulator.wire.answers import read_answer
from services.simulator.wire.requests import write_request

DAY = date(2010, 1, 6)
OPEN, CLOSE = datetime(2010, 1, 6, 14, 30, tzinfo=UTC), datetime(2010, 1, 6, 21, tzinfo=UTC)
KINDS = ("AAA", "SPY", "SPX", "EUR.USD", "ES", "option")


@lru_cache(maxsize=8)
def make_market(tick_seconds: int = 60, **changes: Any) -> Market:
    values: dict[str, Any] = {
        "market": "synthetic",
        "symbols": ("AAA", "BBB", "CCC", "SPY"),
        "indices": ("SPX",),
        "futures": ("ES",),
        "currencies": ("EUR.USD",),
        "start": date(2010, 1, 5),
        "end": date(2010, 1, 15),
        "warmup_days": 60,
        "tick_seconds": tick_seconds,
    }
    settings = Settings.model_validate({**values, **changes})
    return load_market(settings, settings.symbols)


def instrument(market: Market, name: str, now: datetime = OPEN) -> Instrument:
    """Return a stock, an index or a pair by its name, the first ES future, or an option on AAA near the money."""
    if name == "ES":
        return market.catalogue.find(ContractQuery(symbol="ES", security_type="FUT"), now)[0]
    if name == "option":
        query = ContractQuery(symbol="AAA", security_type="OPT", right="C")
        listed = market.catalogue.find(query, now)
        quote = market.quote(instrument(market, "AAA").contract_id, now)
        assert quote is not None
        last = quote.last
        monthly = [one for one in listed if one.expiry == listed[-1].expiry]
        return min(monthly, key=lambda one: abs(one.strike - last))
    return next(one for one in market.catalogue.listed if one.local_symbol == name)


class _Transport:
    def get_write_buffer_size(self) -> int:
        return 0


class _Writer:
    transport = _Transport()


class Desk:
    """A broker without a network, and one client of it."""

    def __init__(self, journal: Journal, market: Market, now: datetime = OPEN, version: int = 178) -> None:
        self.market = market
        self.engine = Engine(market, ("DU1",), Decimal(1_000_000), Commissions())
        self.broker = Broker(self.engine, journal)
        self.session = ClientSession(version, _Writer(), 1 << 40)  # type: ignore[arg-type]
        self.broker.join(1, self.session)
        self.broker.advance(now)

    def ask(self, message_id: int, contract: Instrument | None = None, **values: object) -> list[dict[str, Any]]:
        """Send a request and return its answers."""
        fields: dict[str, object] = dict(values)
        if contract is not None:
            fields |= {"con_id": contract.contract_id, "exchange": fields.get("exchange", contract.exchange)}
        dispatch(self.broker, self.session, write_request(message_id, fields, self.session.version))  # type: ignore[arg-type]
        return self.taken()

    def advance(self, to: datetime) -> list[dict[str, Any]]:
        self.broker.advance(to)
        return self.taken()

    def taken(self) -> list[dict[str, Any]]:
        """Return what was sent since the last time; the message's name is under `message`."""
        frames, self.session._pending[:] = list(self.session._pending), []
        found: list[dict[str, Any]] = []
        for frame in frames:
            (length,) = struct.unpack(">I", frame[:4])
            assert length == len(frame) - 4
            fields = frame[4:].decode().split("\0")[:-1]
            message, row = read_answer(fields, self.session.version)
            found.append({"message": message.name, **row})
        return found


def of(rows: list[dict[str, Any]], message: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["message"] == message]


def minutes(count: float) -> datetime:
    return OPEN + timedelta(minutes=count)
