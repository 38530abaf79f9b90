"""A rule at work: how many messages have fitted it, and how often it has fired."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.faults.model import Rule, When
from services.simulator.faults.seen import Seen


@dataclass(slots=True)
class Armed:
    """`number` names the rule at the control port."""

    number: int
    rule: Rule
    matched: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        """True when the rule can never fire again."""
        return self.rule.when.times > 0 and self.fired >= self.rule.when.times

    def counts(self, seen: Seen) -> bool:
        """Count the message if the rule speaks of it; return True if the rule is to fire."""
        if self.spent or not seen.fits(self.rule.when):
            return False
        self.matched += 1
        return self.matched >= self.rule.when.nth

    def state(self) -> dict[str, object]:
        """Return the rule and its counts as JSON values."""
        rule = self.rule.model_dump(mode="json", exclude_defaults=True)
        rule["do"] = [{"effect": effect.effect, **effect.model_dump(mode="json")} for effect in self.rule.do]
        return {"number": self.number, "matched": self.matched, "fired": self.fired, "spent": self.spent, **rule}


def times(when: When, now: datetime) -> Iterator[datetime]:
    """Yield the virtual times, `now` or later, at which a rule without a message fires; at most `when.times` of them.

    A time that has passed is left out: after a restart its effect on the books is in the journal.
    """
    if when.at is not None:
        if when.at >= now:
            yield when.at
    elif when.after_virtual is not None:
        yield from _every(now, when.after_virtual, when.times)
    elif when.clock is not None:
        yield from _daily(when, now)


def _every(now: datetime, seconds: float, count: int) -> Iterator[datetime]:
    number = 0
    while count == 0 or number < count:
        number += 1
        yield now + number * timedelta(seconds=max(seconds, 1e-3))


def _daily(when: When, now: datetime) -> Iterator[datetime]:
    assert when.clock is not None  # noqa: S101 - the caller has looked
    day, fired = now.astimezone(EXCHANGE_ZONE).date(), 0
    while when.times == 0 or fired < when.times:
        time = datetime.combine(day, when.clock, EXCHANGE_ZONE)
        if time >= now and (not when.weekdays or day.weekday() in when.weekdays):
            fired += 1
            yield time
        day += timedelta(days=1)
