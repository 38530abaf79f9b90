"""Settings: TOML files in the shared config folder, overridden by the environment.

`millrace.toml` holds what all services share, `<service>.toml` what one service needs. `MILLRACE_MODE=paper`
overrides the key `mode` of millrace.toml; `MILLRACE_RISK__MAX_POSITIONS=10` the key `max_positions` of risk.toml.
Unknown keys, wrong types and values out of range are refused with the key, the value and what is allowed.
"""

import difflib
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.types import Mode

PREFIX = "MILLRACE_"
CONFIG_FOLDER = "MILLRACE_CONFIG_FOLDER"  # names the folder itself, so it can't be in a file


class ConfigError(Exception):
    """The configuration can't be used; the text tells a person which key, which value, and what is allowed."""


class Settings(BaseModel):
    """Base of every settings model: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    section: ClassVar[str]


class Common(Settings):
    """What every service shares (millrace.toml)."""

    section = "millrace"

    mode: Mode = Mode.SIMULATED
    symbols: tuple[str, ...] = Field(min_length=1, description="the trading universe")
    redis_url: str = "redis://127.0.0.1:6379/0"
    database_url: str = "postgresql://millrace@127.0.0.1:5432/millrace"
    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535, description="/healthz, /readyz and /metrics; 0 = any free port")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_folder: Path | None = Field(None, description="also log to a file here; none = console only")
    data_folder: Path = Field(Path(".data"), description="where the simulator keeps its state")
    consumer: str = Field(default_factory=socket.gethostname, description="name of this process among its group")


S = TypeVar("S", bound=Settings)


def load(model: type[S], environment: Mapping[str, str] = os.environ) -> S:
    """Read one section from its file and the environment.

    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown, or a value is not allowed.
    """
    folder = Path(environment.get(CONFIG_FOLDER, "config"))
    path = folder / f"{model.section}.toml"
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; set {CONFIG_FOLDER} to the folder that holds it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    overrides = _overrides(model, environment)
    try:
        return model.model_validate(values | overrides)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(model, path, overrides, detail) for detail in error.errors())) from error


def _overrides(model: type[Settings], environment: Mapping[str, str]) -> dict[str, Any]:
    """The keys of this section that the environment sets, as TOML values where they are such, else as text."""
    if model.section == Common.section:
        found = {
            name.removeprefix(PREFIX): name for name in environment if name.startswith(PREFIX) and "__" not in name
        }
        found.pop(CONFIG_FOLDER.removeprefix(PREFIX), None)
    else:
        prefix = f"{PREFIX}{model.section.upper()}__"
        found = {name.removeprefix(prefix): name for name in environment if name.startswith(prefix)}
    return {key.lower(): _value(model, key.lower(), environment[name]) for key, name in found.items()}


def _value(model: type[Settings], key: str, text: str) -> Any:
    field = model.model_fields.get(key)
    annotation: Any = field.annotation if field else None
    if annotation in (str, str | None):
        return text  # a password of digits stays text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(model: type[Settings], path: Path, overrides: dict[str, Any], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    top = str(detail["loc"][0]) if detail["loc"] else ""
    where = str(path) if top not in overrides else f"environment ({_variable(model, top)})"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(top, model.model_fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(model.model_fields))}"
        return f"{where}: unknown key {key!r} = {detail['input']!r}; {hint}"
    if detail["type"] == "missing":
        return f"{where}: key {key!r} is missing"
    return f"{where}: {key} = {detail['input']!r} is not allowed: {detail['msg']}{_range(model, top)}"


def _variable(model: type[Settings], key: str) -> str:
    return (
        f"{PREFIX}{key.upper()}"
        if model.section == Common.section
        else f"{PREFIX}{model.section.upper()}__{key.upper()}"
    )


def _range(model: type[Settings], key: str) -> str:
    """The allowed values of a field, from its own constraints."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "pattern": "matching"}
    field = model.model_fields.get(key)
    limits = [f"{words[name]} {getattr(item, name)}" for item in (field.metadata if field else [])
              for name in words if getattr(item, name, None) is not None]  # fmt: skip
    return f" (allowed: {' and '.join(limits)})" if limits else ""
