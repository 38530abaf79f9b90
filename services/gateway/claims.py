"""Orders that were sent, or may have been: committed before a byte goes to the broker, kept for ever."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from services.gateway.core.order_ids import reserve
from services.gateway.core.verdicts import Claim, Verdict
from shared.db import tables
from shared.db.engine import engine, read_all
from shared.db.store import Row
from shared.messages.broker_commands import OrderTerms


def load_claims(database_url: str) -> dict[str, Claim]:
    """Every claim ever made, by orderRef."""
    database = engine(database_url)
    with database.connect() as connection:
        claims = read_all(connection, tables.broker_orders, Claim)
    database.dispose()
    return {claim.order_ref: claim for claim in claims}


class Claims:
    """What the table `broker_orders` holds, or will hold once `rows` of it are committed."""

    def __init__(self, claims: Mapping[str, Claim]) -> None:
        self._claims = dict(claims)
        self._lost = {claim.order_ref for claim in claims.values() if claim.verdict is Verdict.LOST}
        self._highest = max((claim.broker_order_id or 0 for claim in claims.values()), default=0)

    def get(self, order_ref: str) -> Claim | None:
        return self._claims.get(order_ref)

    def undecided(self) -> list[str]:
        """orderRefs of those that nobody has said a word on."""
        return [claim.order_ref for claim in self._claims.values() if claim.verdict is None]

    def lost(self) -> tuple[str, ...]:
        """orderRefs of those that were judged never to have reached the broker."""
        return tuple(self._lost)

    def reported(self) -> dict[int, str]:
        """orderRefs by the broker's own order ids."""
        return {claim.reported_id: claim.order_ref for claim in self._claims.values() if claim.reported_id}

    def reserve(self, orders: Sequence[OrderTerms], next_free: int, now: datetime) -> list[Claim]:
        """New claims; they count once they are committed and `put`."""
        ids = reserve([order.order_ref for order in orders], next_free, self._highest)
        return [Claim(order.order_ref, ids[order.order_ref], order.symbol, order.quantity, now) for order in orders]

    def spare(self, next_free: int) -> int:
        """An id for a question that the broker numbers like an order; used up, and not worth a row."""
        (self._highest,) = reserve([""], next_free, self._highest).values()
        return self._highest

    def put(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._claims[claim.order_ref] = claim
            self._highest = max(self._highest, claim.broker_order_id or 0)

    def decided(self, order_ref: str, verdict: Verdict, reported_id: int | None = None) -> Claim:
        """Put a verdict on a claim. Raises KeyError where there is none."""
        claim = self._claims[order_ref]
        (self._lost.add if verdict is Verdict.LOST else self._lost.discard)(order_ref)
        self._claims[order_ref] = replace(claim, verdict=verdict, reported_id=reported_id or claim.reported_id)
        return self._claims[order_ref]


def rows(claims: Iterable[Claim]) -> list[Row]:
    return [Row(tables.broker_orders, asdict(claim)) for claim in claims]
