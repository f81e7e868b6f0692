"""A span as the store keeps it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One span that has ended: what it is found by, and the contract's Span as bytes."""

    # 16 bytes.
    trace_id: bytes
    # 8 bytes.
    span_id: bytes
    # Nanoseconds since 1970.
    start: int
    data: bytes
    # Whose it says that it is; empty: it names nobody.
    tenant: str = ""
