"""What others think of a symbol, measured."""

from typing import Literal

from pydantic import AwareDatetime, Field

from shared.messages.base import Message
from shared.messages.strategy import Component


class SentimentReading(Message):
    """How favourable one source is to buying a symbol: `score` from 0 (against) over 0.5 (neutral) to 1 (for).

    `observed_at` is when it could be known, which for a backtest makes the difference between honest and not.
    """

    symbol: str
    component: Literal[Component.SENTIMENT, Component.OPTIONS_FLOW]
    score: float = Field(ge=0, le=1)
    source: str
    observed_at: AwareDatetime
