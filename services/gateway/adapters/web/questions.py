"""The questions that IBKR asks before it takes an order, and our answers. Pure.

A question is confirmed where it only warns of what we do on purpose or what the risk service has judged already; it is
declined where it says that the order is not what we meant. A declined order is not placed, and reported REJECTED with
the question's text. What is not in the table is declined.

Source of the ids: "Suppressible message IDs" of https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/; the
meanings are IBKR's, the answers ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from services.gateway.adapters.web.convert import Row

MOST_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What we answer to one kind of question, and why."""

    confirmed: bool
    why: str


_YES: Mapping[str, str] = MappingProxyType(
    {
        "o163": "a limit price far from the market: a resting order is meant so, and risk bounds the price itself",
        "o354": "no market data at IBKR: a protective order must go; risk refuses entries without a fresh quote",
        "o403": "the order will trigger and fill at once: so a stop does that the market has passed already",
        "o2137": "an order on the other side is working: stops and targets rest while positions are traded",
        "o10151": "the risks of market orders are known",
        "o10152": "the risks of stop orders are known",
        "o10153": "IBKR may cap the price of a market order",
        "o10331": "the kinds of stop orders are known",
        "p12": "IBKR keeps the price within what the exchange allows; without it the order may be rejected",
    }
)
_NO: Mapping[str, str] = MappingProxyType(
    {
        "o382": "the price is beyond the limit of ticks that somebody has set at IBKR",
        "o383": "the quantity is beyond the limit that somebody has set at IBKR",
        "o451": "the value is beyond the limit that somebody has set at IBKR",
        "o2136": "the order would mix allocations over accounts; ours name one account",
        "o2165": "fractions can't be traded outside regular hours",
        "o10082": "the bond is called; no bonds are traded",
        "o10138": "the change of quantity is beyond the limit that somebody has set at IBKR",
        "o10164": "the quantity would be an amount of cash; ours are shares",
        "o10223": "the quantity would be an amount of cash; ours are shares",
        "o10288": "no crypto-currencies are traded",
        "p6": "the order would be spread over several accounts; ours name one",
    }
)
REPLIES: Mapping[str, Reply] = MappingProxyType(
    {**{name: Reply(True, why) for name, why in _YES.items()}, **{name: Reply(False, why) for name, why in _NO.items()}}
)
"""By IBKR's message id."""


@dataclass(frozen=True, slots=True)
class Question:
    """`reply_to` is what the answer is sent to; one question may carry several messages."""

    reply_to: str
    ids: tuple[str, ...]
    text: str

    @property
    def reply(self) -> Reply:
        """Confirmed only when every message of it is."""
        if not self.ids:
            return Reply(False, "the question has no id")
        for name in self.ids:
            reply = REPLIES.get(name, Reply(False, f"question {name} is not known here"))
            if not reply.confirmed:
                return reply
        return Reply(True, "; ".join(REPLIES[name].why for name in self.ids))


def asked(answer: Any) -> Question | None:
    """The question in IBKR's answer to an order; None when it asks nothing."""
    if not isinstance(answer, list):
        return None
    for row in cast("list[Row]", answer):
        if "message" in row and "id" in row:
            texts = " ".join(str(text).strip() for text in row["message"])
            return Question(str(row["id"]), tuple(str(name) for name in row.get("messageIds") or ()), texts)
    return None
