"""A fault script as data: rules, each of which says when something goes wrong and what.

The same models serve TOML files, Python and the control port. Names of messages are those of the API's callbacks and
calls (`execDetails`, `placeOrder`); names of fields are those of `wire`.
"""

from datetime import time
from typing import Annotated, TypeAlias

from pydantic import AwareDatetime, Field, model_validator

from services.simulator.faults.effects import FATES, Effect, Model, Seconds, Wait

Names: TypeAlias = tuple[str, ...]


class When(Model):
    """What sets a rule off: a time, a message, or, when nothing is given, being added.

    For a message, the filters must all fit; `nth` counts the messages that do, and from that one on the rule fires
    `times` times (0 = every time).
    """

    at: AwareDatetime | None = Field(default=None, description="virtual time")
    clock: time | None = Field(default=None, description="time of day in New York, of each virtual day")
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(default=(), description="with clock; 0 = Monday")
    after: Seconds | None = Field(default=None, description="real seconds after the rule was added")
    after_virtual: Seconds | None = Field(default=None, description="virtual seconds after the rule was added")

    receives: str | Names = Field(default=(), description="requests that arrive, by name; * = all")
    sends: str | Names = Field(default=(), description="answers that are about to be sent, by name; * = all")
    client_id: int | None = None
    order_ref: str | None = Field(default=None, description="pattern with * and ?")
    symbol: str | None = None
    code: int | None = Field(default=None, description="of an error message")
    fields: dict[str, str] = Field(default_factory=dict[str, str], description="patterns for fields, by name")

    nth: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _one_trigger(self) -> "When":
        given = [name for name in ("at", "clock", "after", "after_virtual") if getattr(self, name) is not None]
        given += [name for name in ("receives", "sends") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]}: a rule has one trigger; write two rules")
        if self.weekdays and self.clock is None:
            raise ValueError("weekdays: means nothing without clock")
        return self

    @property
    def names(self) -> Names:
        """Names of the messages that set the rule off; empty for a time."""
        named = self.receives or self.sends
        return (named,) if isinstance(named, str) else named


class Rule(Model):
    name: str = ""
    when: When = When()
    do: tuple[Effect, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fates_fit(self) -> "Rule":
        fates = [index for index, effect in enumerate(self.do) if isinstance(effect, FATES)]
        if len(fates) > 1:
            raise ValueError(f"do: {self.do[fates[0]].effect} and {self.do[fates[1]].effect}: a message has one fate")
        if fates and not self.when.names:
            raise ValueError(f"do: {self.do[fates[0]].effect} needs a message; give when.receives or when.sends")
        if fates and any(isinstance(effect, Wait) for effect in self.do[: fates[0]]):
            raise ValueError("do: wait before the message's fate; use delay, or list the wait after it")
        return self


class Script(Model):
    """A named set of rules; `description` is one line for a list."""

    description: str = ""
    rules: tuple[Rule, ...] = Field(alias="rule", default=())
