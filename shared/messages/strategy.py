"""What strategies want: the first of the three order types, each at its own trust boundary."""

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.messages.market import Bar
from shared.types import Side


class Purpose(StrEnum):
    ENTER = "enter"
    EXIT = "exit"


class OrderIntent(Message):
    """A strategy wants to open or to close a position; only risk may turn it into an order.

    `stop_distance` and `target_distance` are USD per share from the entry price (ENTER only). `score` is the
    confidence, 0 to 1. Nobody acts on an intent after `expires_at`. `job_run_id` is the evaluation that made it.
    """

    strategy: str
    symbol: str
    purpose: Purpose
    side: Side
    score: float = Field(ge=0, le=1)
    reason: str
    stop_distance: Decimal | None = Field(default=None, gt=0)
    target_distance: Decimal | None = Field(default=None, gt=0)
    bar: Bar
    expires_at: AwareDatetime
    job_run_id: UUID | None
