"""How a request about an order is carried out: in turn, exactly once, with IBKR's questions answered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import structlog

from services.gateway.adapters.web import questions
from services.gateway.adapters.web.order_form import Form
from services.gateway.adapters.web.session import Session
from services.gateway.ports import BrokerLost, RequestRefused, Urgency
from shared.messages.broker import BrokerErrorReported, ErrorEffect

_log = structlog.get_logger()


class Exchange:
    """IBKR takes one order at a time: the next may be sent when the questions about the one before are answered. So
    requests to submit and to change wait for each other; cancels wait for nobody.

    `turn` is held by the request that is under way.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    async def in_turn(self, session: Session, place: Callable[["asyncio.Future[None]"], Awaitable[None]]) -> None:
        """Carry out one request after the one before; returns when IBKR has dealt with it.

        Cancelled before anything is sent, it sends nothing; later it goes on behind.
        """
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            async with self.turn:
                try:
                    await place(sent)
                except BrokerLost as error:
                    if not sent.done():
                        raise
                    session.close(str(error))  # what became of it only a new listing tells

        task = asyncio.ensure_future(run())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if sent.done():
                return
            task.cancel()
            raise

    async def agreed(
        self, session: Session, refs: Sequence[str], path: str, body: Form, sent: "asyncio.Future[None]"
    ) -> list[dict[str, Any]]:
        """Send, and answer IBKR's questions as the table says, until it has taken the order.

        Raises:
            RequestRefused: it has not, or a question was declined.
        """
        told = (await session.rest.ask(Urgency.ORDER, "post", path, body, sent=sent)).data
        for _ in range(questions.MOST_IN_A_ROW):
            question = questions.asked(told)
            if question is None:
                if isinstance(told, list) and told:
                    return cast("list[dict[str, Any]]", told)
                raise BrokerLost(f"the answer to order {refs[0]} can't be understood: {str(cast(object, told))[:200]}")
            reply = question.reply
            _tell(session, refs[0], question, reply)
            answer = session.rest.ask(Urgency.ORDER, "reply", question.reply_to, reply.confirmed)
            if not reply.confirmed:
                with suppress(RequestRefused):  # an order that was not confirmed
                    await answer
                raise RequestRefused(f"declined ({reply.why}): {question.text}")
            told = (await answer).data
        raise RequestRefused(f"IBKR asked more than {questions.MOST_IN_A_ROW} questions in a row")


def _tell(session: Session, order_ref: str, question: questions.Question, reply: questions.Reply) -> None:
    verdict = "confirmed" if reply.confirmed else "declined"
    _log.info("a question about an order", order_ref=order_ref, ids=question.ids, verdict=verdict, why=reply.why)
    code = next((int(name[1:]) for name in question.ids if name[1:].isdigit()), 0)
    text = f"{question.text} ({verdict}: {reply.why})"
    effect = ErrorEffect.WARNING if reply.confirmed else ErrorEffect.ORDER_REJECTED
    session.listener.heard(BrokerErrorReported(code=code, text=text, effect=effect, order_ref=order_ref))
