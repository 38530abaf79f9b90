"""Structured logs: readable on a terminal, JSON lines elsewhere and in the file."""

import logging
import logging.handlers
import sys
from pathlib import Path

import structlog


def configure(service: str, level: str, folder: Path | None) -> None:
    """Send structlog's and the standard library's records to the console, and to `<folder>/<service>.log` if given."""
    shared_steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
    ]
    json = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared_steps,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    person = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared_steps,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=True, event_key="message"),
        ],
    )
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(person if sys.stderr.isatty() else json)
    handlers: list[logging.Handler] = [console]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(folder / f"{service}.log", maxBytes=20_000_000, backupCount=3)
        file.setFormatter(json)
        handlers.append(file)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for chatty in ("ib_async", "httpx", "uvicorn", "apprise"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
    structlog.configure(
        processors=[*shared_steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
