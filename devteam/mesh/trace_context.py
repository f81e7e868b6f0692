"""A trace that travels inside messages."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate


def carried() -> dict[str, str]:
    """The current trace context as a map, to travel inside a message."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def joined(carrier: Mapping[str, str]) -> Iterator[None]:
    """Go on with the trace that a message carried."""
    token = context.attach(propagate.extract(dict(carrier)))
    try:
        yield
    finally:
        context.detach(token)
