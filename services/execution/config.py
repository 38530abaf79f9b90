"""Execution's settings (execution.toml)."""

from pydantic import Field

from shared import config


class Settings(config.Settings):
    section = "execution"

    snapshot_patience_seconds: float = Field(
        30, ge=1, le=600, description="how long a snapshot may take before /readyz says so"
    )
