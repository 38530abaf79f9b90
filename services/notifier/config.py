"""Notifier's settings (notifier.toml)."""

from pydantic import Field, SecretStr

from shared import config


class Settings(config.Settings):
    section = "notifier"

    channels: tuple[SecretStr, ...] = Field(
        (), description="Apprise URLs, such as mailtos://user:password@example.com; none = the log only"
    )
    quiet_codes: tuple[str, ...] = Field(
        ("no_position", "duplicate_intent"), description="refusals that are everyday and not worth an alert"
    )
