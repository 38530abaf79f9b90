"""What the broker has told about fills and what they cost, since this connection began."""

from collections.abc import Iterable

from shared.messages.broker import CommissionReported, ExecutionReported


class Executions:
    """Executions and commissions by execution id.

    A commission that comes before its execution is kept back: nobody could tell what it is for.
    """

    def __init__(self) -> None:
        self.executions: dict[str, ExecutionReported] = {}
        self.commissions: dict[str, CommissionReported] = {}
        self._uncharged: dict[str, CommissionReported] = {}

    def begin_listing(self) -> None:
        """The broker is about to tell all of them again, and what it does not mention is gone."""
        self.executions, self.commissions = {}, {}

    def executed(self, execution: ExecutionReported) -> tuple[ExecutionReported, str | None]:
        """Keep an execution; returns it with what it corrects, and a warning if it contradicts one that is known."""
        execution = execution.model_copy(update={"corrects": corrected(execution.execution_id, self.executions)})
        known = self.executions.get(execution.execution_id)
        self.executions[execution.execution_id] = execution
        doubt = None
        if known not in (None, execution):
            doubt = f"execution {execution.execution_id} was {known}, and is now {execution}"
        return execution, doubt

    def charged(self, commission: CommissionReported) -> CommissionReported | None:
        """Keep a commission; None while its execution has not been heard of."""
        if commission.execution_id not in self.executions:
            self._uncharged[commission.execution_id] = commission
            return None
        self.commissions[commission.execution_id] = commission
        return commission

    def charge_of(self, execution_id: str) -> CommissionReported | None:
        """The commission that came before its execution, which has come now."""
        waited = self._uncharged.pop(execution_id, None)
        return None if waited is None else self.charged(waited)


def corrected(execution_id: str, known: Iterable[str]) -> str | None:
    """The execution that this one replaces; None for a first version.

    IBKR numbers the versions of one fill in the last part of its id: `0000e0d5.69dd7411.01.02` corrects `....01.01`
    (https://interactivebrokers.github.io/tws-api/executions_commissions.html). Where no earlier version was heard of,
    it is the one before.
    """
    fill, _, version = execution_id.rpartition(".")
    if not fill or not version.isdigit() or int(version) <= 1:
        return None
    earlier = [other for other in known if other.rpartition(".")[0] == fill and other.rpartition(".")[2] < version]
    return max(earlier, default=f"{fill}.{int(version) - 1:0{len(version)}d}")
