"""Lengths of time: seconds in the domain, Durations on the wire."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration


def seconds_of(length: Duration) -> float:
    """How many seconds it is, whatever it holds."""
    return length.seconds + length.nanos / 1e9


def duration_of(seconds: float) -> Duration:
    """So many seconds, to the microsecond."""
    length = Duration()
    length.FromTimedelta(timedelta(seconds=seconds))
    return length
