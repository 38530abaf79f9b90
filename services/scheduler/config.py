"""Settings of the scheduler (scheduler.toml)."""

from pydantic import Field

from services.scheduler.core.schedule import JobTime
from shared import config


class Settings(config.Settings):
    section = "scheduler"

    jobs: tuple[JobTime, ...] = Field(min_length=1, description="what runs in every session, and when")
    catch_up_minutes: int = Field(60, ge=0, le=1440, description="a job later than this is missed, not run late")
    shard_size: int = Field(50, ge=1, le=500, description="symbols in one message to the scanners")
