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
    outage_grace_seconds: float = Field(
        30, ge=0, le=3600, description="a broken broker session that is READY again by then is not worth an alert"
    )
    outage_alert_minutes: float = Field(
        10, ge=0, le=180, description="the same within hours in which IBKR has announced its resets"
    )
    broker_silence_minutes: float = Field(
        5,
        gt=0,
        le=1440,
        description="paper and live: an alert when the gateway, dead or alive, has no word for so long",
    )
    login_reminder_hours: float = Field(
        8, gt=0, le=168, description="paper and live: before the log-in ends on Sunday at 01:00 New York"
    )
    weekly_restart_hour: int = Field(
        9, ge=1, le=23, description="of Sunday, New York: when you will restart IB Gateway; the reminder names it"
    )
