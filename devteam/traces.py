"""What happened when, and because of what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class SpanKind(StrEnum):
    """What a span has to do with other processes."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    # Nobody said, or newer than this client.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span."""

    name: str
    time: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span that this one goes back to without being part of it: an earlier attempt, who asked for a cancel."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time. It is stored once it has ended."""

    id: str
    trace_id: str
    name: str
    start: datetime
    end: datetime
    # Empty for the root. It may name a span that is not stored: its process keeps its own, died, or still runs.
    parent_id: str = ""
    kind: SpanKind = SpanKind.UNKNOWN
    # Which program it happened in.
    service: str = ""
    # By their names in OpenTelemetry's conventions; values that are no text as JSON.
    attributes: Mapping[str, str] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    failed: bool = False
    # What went wrong, if somebody said so.
    error: str = ""

    @property
    def duration(self) -> timedelta:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans that are stored of what was done for a task or a plan, by the time at which they began."""

    id: str
    spans: tuple[Span, ...] = ()
    # There are more than an answer holds.
    truncated: bool = False
