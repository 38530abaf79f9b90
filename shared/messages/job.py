"""Scheduled work and how it went."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.messages.base import Message


class Job(StrEnum):
    SYNC_POSITIONS = "sync_positions"
    EVALUATE_STRATEGIES = "evaluate_strategies"
    CHECK_EXITS = "check_exits"
    FETCH_BARS = "fetch_bars"
    SCAN = "scan"


class RunJob(Message):
    """A job is due. The envelope's id is the run's id."""

    job: Job
    scheduled_for: AwareDatetime


class JobOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class JobFinished(Message):
    """One service finished its part of a run. `duration_seconds` is real time, from receipt to finish."""

    run_id: UUID
    job: Job
    outcome: JobOutcome
    detail: str
    duration_seconds: float = Field(ge=0)
