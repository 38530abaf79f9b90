"""Fault scripts by name: those that come with the simulator, and files of one's own."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from services.simulator.faults.model import Script
from services.simulator.faults.names import check
from shared.config import ConfigError

_FOLDER = Path(__file__).with_name("scenarios")


def scenarios() -> dict[str, str]:
    """Return the names of the scenarios that come with the simulator, each with its one-line description."""
    return {path.stem: _parse(path).description for path in sorted(_FOLDER.glob("*.toml"))}


def load(name_or_path: str) -> Script:
    """Return a scenario by its name, or the script in a TOML file.

    Raises ConfigError that names the file, the value and the remedy.
    """
    named = _FOLDER / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if "/" not in name_or_path and named.is_file():
        return _parse(named)
    if path.suffix == ".toml" and path.is_file():
        return _parse(path)
    raise ConfigError(
        f"scenario: {name_or_path!r} is neither a TOML file nor one of {', '.join(scenarios())}; name one of them"
    )


def _parse(path: Path) -> Script:
    try:
        script = Script.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        check(script)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}, got {first['input']!r}; correct it") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return script
