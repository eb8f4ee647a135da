"""Logging of the long-running commands: structlog, to standard error, JSON unless on a terminal."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

from espf.config import LogFormat, LogLevel

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up_logs(level: LogLevel, form: LogFormat) -> None:
    """Send structlog's events, and what libraries log by the standard way, to standard error."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_json() if as_json else _console()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_of_libraries() if as_json else logging.Formatter(_LINE))
    # Libraries tell little of use below a warning.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _json() -> list[Any]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _console() -> list[Any]:
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _of_libraries() -> logging.Formatter:
    """What libraries log by the standard way, as JSON like ours."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[_named, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_json()],
    )


def _named(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    told = {"message": event["event"], "library": record.name}
    return {**event, **told, "event": "library.logged"}
