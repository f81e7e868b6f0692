"""Log lines: one fixed sentence and its facts; JSON for machines, colours for a terminal."""

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog
from opentelemetry import trace

from devteam.mesh.redaction import hide_fields, hide_text, hide_values

# Of a log file, and how many of them are kept.
_FILE_BYTES = 10 * 1024 * 1024
_FILES = 3
# Heard from WARNING on. Below, the SDKs of model providers write down whole requests: prompts do not belong in logs.
_NOISY = (
    *("alembic", "grpc._cython.cygrpc", "httpcore", "httpcore2", "httpx", "httpx2"),
    *("anthropic", "mcp", "ollama", "openai"),
)
# What sends spans and metrics to a collector, and says so of every batch that it cannot send.
_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.exporter"
_SELDOM_SECONDS = 300.0


def configure_logs(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (stderr unless given), the standard library's included.

    JSON, unless the stream is a terminal.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(service, as_json=not stream.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    exporter = logging.getLogger(_EXPORTER)
    exporter.filters = [_Seldom()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(service),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # Loggers keep the class that they were first made with: the level, which may change, is the root logger's.
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class _Seldom(logging.Filter):
    """A collector that is away is told of once in five minutes, and not with every batch; tries are not told of."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._silent_until: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Errors name what is exported first: spans and metrics are told of apart."""
        if record.levelno < logging.ERROR:
            return False
        what = record.args[0] if isinstance(record.args, tuple) and record.args else record.msg
        told_lately = self._now() < self._silent_until.get(what, 0.0)
        if not told_lately:
            self._silent_until[what] = self._now() + _SELDOM_SECONDS
        return not told_lately


def log_to_file(service: str, path: Path, *, file_bytes: int = _FILE_BYTES) -> None:
    """Send every line to this file too, from now on, as JSON; what is older than three files of them goes.

    Its folder must be there. Whatever keeps a line from the file costs that line alone. Raises OSError.
    """
    path.touch(mode=0o600)
    handler = _File(path, maxBytes=file_bytes, backupCount=_FILES - 1, encoding="utf-8")
    handler.setFormatter(_formatter(service, as_json=True))
    logging.getLogger().addHandler(handler)


def leave_stderr() -> None:
    """Send lines to files alone from now on: the process says its last words on stderr itself."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if isinstance(handler, _File)] or [logging.NullHandler()]


class _File(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Say nothing: the same line goes to stderr."""


def _formatter(service: str, *, as_json: bool) -> logging.Formatter:
    # Plain: the pretty kind shows local variables, and with them whatever secret a frame holds.
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    finish: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, hide_values, renderer, hide_text]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(service),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
    )


def _shared(service: str) -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_trace,
        _with_service(service),
        hide_fields,
    ]


def set_level(level: str) -> None:
    """Say more from now on, or less."""
    logging.getLogger().setLevel(level.upper())


def with_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: lines within a span name it, and its trace."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def _with_service(service: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add
