"""What strategies want: the first of the three order types, each at its own trust boundary."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.messages.broker_commands import ComboLeg
from shared.messages.market import Bar
from shared.types import Side


class Purpose(StrEnum):
    ENTER = "enter"
    EXIT = "exit"


class Component(StrEnum):
    """What a score is made of."""

    TECHNICAL = "technical"
    SENTIMENT = "sentiment"
    OPTIONS_FLOW = "options_flow"


class Evidence(Message):
    """One component of a score: its value, 0 to 1 (None: missing), how old it was, and the weight it was given.

    The weights of an intent's evidence sum to 1; a component that is missing or too old has weight 0.
    """

    component: Component
    value: float | None = Field(ge=0, le=1)
    age_seconds: float | None = Field(ge=0)
    weight: float = Field(ge=0, le=1)


class OrderIntent(Message):
    """A strategy wants to open or to close a position; only risk may turn it into an order.

    `stop_distance` and `target_distance` are USD per share from the entry price (ENTER only; none: no such order).
    `quantity` is the size that the strategy itself wants, if it wants one, in shares or combinations.
    `score` is the confidence, 0 to 1, the weighted sum of `evidence`. Nobody acts on an intent after `expires_at`.
    `job_run_id` is the evaluation that made it.

    With `legs` the intent is for a combination on `symbol`: prices and distances are then net, in USD per unit of the
    underlying (a debit for BUY, a credit for SELL), and `max_loss` is the most that one combination can lose, in USD.
    Its limit gives up `crossing` of the quoted spread against the middle (0.5 and none: all of it), and it is closed
    from the New York date `close_on` on.
    """

    strategy: str
    symbol: str
    purpose: Purpose
    side: Side
    score: float = Field(ge=0, le=1)
    reason: str
    stop_distance: Decimal | None = Field(default=None, gt=0)
    target_distance: Decimal | None = Field(default=None, gt=0)
    quantity: Decimal | None = Field(default=None, gt=0)
    legs: tuple[ComboLeg, ...] = ()
    max_loss: Decimal | None = Field(default=None, gt=0)
    crossing: Decimal | None = Field(default=None, ge=0, le=Decimal("0.5"))
    close_on: date | None = None
    evidence: tuple[Evidence, ...] = ()
    bar: Bar
    expires_at: AwareDatetime
    job_run_id: UUID | None
