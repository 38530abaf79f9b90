"""Which messages are news, and what names each fact, so that the same fact always gets the same message id."""

from collections import Counter

from shared.messages.base import Message
from shared.messages.broker import BrokerTime, CommissionReported, ExecutionReported, OrderReported


class Facts:
    """Remembers what was said, since a broker says most things more than once.

    An order can return to a state it was in before (a price moved up and back), so a report's name counts how often
    that state was entered. Executions and commissions have names of their own.
    """

    def __init__(self) -> None:
        self._told: dict[str, Message] = {}
        self._orders: dict[str, OrderReported] = {}
        self._entered: Counter[str] = Counter()

    def key(self, message: Message) -> str | None:
        """The name of the fact; None when it was told already. An empty name: this message is unlike any other."""
        match message:
            case OrderReported():
                return self._order_key(message)
            case ExecutionReported() | CommissionReported():
                name = f"{type(message).__name__}:{message.execution_id}"
                if self._told.get(name) == message:
                    return None
                self._told[name] = message
                return message.execution_id
            case BrokerTime():
                return message.now.isoformat()
            case _:
                return ""

    def _order_key(self, report: OrderReported) -> str | None:
        if self._orders.get(report.order_ref) == report:
            return None
        self._orders[report.order_ref] = report
        state = report.model_dump_json()
        self._entered[state] += 1
        return f"{state}#{self._entered[state]}"
