"""Questions about orders on their way to their answers.

Assumed, where IBKR does not say: a question is open until it is answered or the log-in ends, and one that is declined
discards the order.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from services.simulator.web.call import Call, Handler, WebError
from services.simulator.web.portal import Portal
from services.simulator.web.questions import Question

_MOST_SUPPRESSED = 51
"""Message ids of one request (IBKR, "Suppress Messages")."""
_TEXTS = TypeAdapter(list[str])
Submit: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for a confirmation: the questions that are left, and what is done after the last."""

    left: Sequence[Question]
    submit: Submit


class Confirmations:
    def __init__(self, portal: Portal) -> None:
        self._pending: dict[str, Pending] = {}
        self._suppressed: set[str] = set()
        portal.forgetters.append(self._forget)

    def _forget(self) -> None:
        self._pending.clear()
        self._suppressed.clear()

    async def proceed(self, asked: Sequence[Question], submit: Submit) -> object:
        """Ask the next question that is not suppressed; without one, submit."""
        left = [one for one in asked if one.message_id not in self._suppressed]
        if not left:
            return await submit()
        reply_id = str(uuid4())
        self._pending[reply_id] = Pending(left[1:], submit)
        question = {
            "id": reply_id,
            "message": [left[0].text],
            "isSuppressed": False,
            "messageIds": [left[0].message_id],
        }
        return [question]

    async def reply(self, call: Call) -> object:
        pending = self._pending.pop(call.path["reply"], None)
        if pending is None:
            raise WebError(400, "Bad Request: no question of that id is open")
        if call.body.get("confirmed") is not True:
            raise WebError(200, "The order was not confirmed")
        return await self.proceed(pending.left, pending.submit)

    async def suppress(self, call: Call) -> object:
        try:
            found = _TEXTS.validate_python(call.body.get("messageIds"))
        except ValidationError:
            raise WebError(400, "Bad Request: messageIds is not a list of texts") from None
        if len(found) > _MOST_SUPPRESSED:
            raise WebError(400, f"Bad Request: messageIds has more than {_MOST_SUPPRESSED} entries")
        self._suppressed.update(found)
        return {"status": "submitted"}

    async def reset(self, _: Call) -> object:
        self._suppressed.clear()
        return {"status": "submitted"}

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", "/iserver/reply/{reply}", self.reply),
            ("POST", "/iserver/questions/suppress", self.suppress),
            ("POST", "/iserver/questions/suppress/reset", self.reset),
        ]
