"""How far a trace reached, told from a store of spans."""

from pathlib import Path

from devteam.mesh.spans.store import SpanStore
from devteam.v1 import trace_pb2

# More than a demo makes, by far.
_MOST = 10_000


def summary(file: Path) -> str:
    """One sentence about the largest trace in the store; empty when there is none. Raises Unavailable."""
    store = SpanStore(file)
    largest = store.largest()
    if largest is None:
        return ""
    spans = [trace_pb2.Span.FromString(data) for data in store.spans_of(largest, _MOST)]
    services = sorted({span.service or "?" for span in spans})
    return f"trace {largest.hex()}: {len(spans)} spans, from {' and '.join(services)}"
