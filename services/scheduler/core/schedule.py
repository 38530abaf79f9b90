"""When jobs are due: times of a session, counted from its open or close, so that early closes move them along."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.calendar import NEW_YORK
from shared.messages.job import Job

Hours: TypeAlias = Callable[[date], tuple[datetime, datetime] | None]
"""A date's (open, close) in UTC, None when the exchange is closed; `shared.calendar.session_hours` is one."""

LOOK_BACK_DAYS = 10  # no exchange holiday is longer


class JobTime(BaseModel):
    """One job's moment in every session: exactly one of the three distances, in minutes.

    A session too short for it (its moment would lie past the close, or before the open) goes without the job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    after_open_minutes: int | None = Field(None, ge=0, le=390)
    before_close_minutes: int | None = Field(None, ge=0, le=390)
    after_close_minutes: int | None = Field(None, ge=0, le=480)

    @model_validator(mode="after")
    def _one_distance(self) -> "JobTime":
        distances = (self.after_open_minutes, self.before_close_minutes, self.after_close_minutes)
        if sum(minutes is not None for minutes in distances) != 1:
            raise ValueError(
                f"job {self.job}: give exactly one of after_open_minutes, before_close_minutes, after_close_minutes"
            )
        return self

    def moment(self, session_open: datetime, session_close: datetime) -> datetime | None:
        """When the job is due in a session, None when the session is too short for it."""
        if self.after_close_minutes is not None:
            return session_close + timedelta(minutes=self.after_close_minutes)
        if self.before_close_minutes is not None:
            moment = session_close - timedelta(minutes=self.before_close_minutes)
        else:
            moment = session_open + timedelta(minutes=self.after_open_minutes or 0)
        return moment if session_open <= moment <= session_close else None


@dataclass(frozen=True, slots=True)
class Due:
    """A job at one moment, UTC."""

    at: datetime
    job: Job

    @property
    def key(self) -> str:
        """Names this run among all runs."""
        return f"{self.job}:{self.at.isoformat()}"


def job_times(day: date, jobs: Sequence[JobTime], hours: Hours) -> list[Due]:
    """The runs of one date, oldest first, those of one moment in the order of `jobs`; none when there is no session."""
    session = hours(day)
    if session is None:
        return []
    moments = ((job.moment(*session), job.job) for job in jobs)
    return sorted((Due(at, job) for at, job in moments if at is not None), key=lambda run: run.at)


def due(after: datetime, now: datetime, jobs: Sequence[JobTime], hours: Hours) -> list[Due]:
    """The runs with after < moment <= now, oldest first."""
    first, last = after.astimezone(NEW_YORK).date(), now.astimezone(NEW_YORK).date()
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [run for day in days for run in job_times(day, jobs, hours) if after < run.at <= now]


def latest(now: datetime, jobs: Sequence[JobTime], hours: Hours) -> Due | None:
    """The newest run that was due by `now`; None when no session of the last days had one."""
    runs = due(now - timedelta(days=LOOK_BACK_DAYS), now, jobs, hours)
    return runs[-1] if runs else None


def next_due(now: datetime, jobs: Sequence[JobTime], hours: Hours) -> Due | None:
    """The first run later than `now`; None when no session of the next days has one."""
    runs = due(now, now + timedelta(days=LOOK_BACK_DAYS), jobs, hours)
    return runs[0] if runs else None
