"""What can be read of a process when somebody asks: each part reads its own state, on its own event loop.

Who asks is another thread, Prometheus' or OTLP's. State has one writer, its loop, so nobody else looks at it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple

import structlog

from devteam.mesh.metrics.catalog import Metric

_log = structlog.get_logger()

# In seconds. A loop that has no time by then is left alone: its part is missing from this answer, and it
# is no later than the next one.
PATIENCE = 1.0


class Reading(NamedTuple):
    """One value of one metric; `labels` are the values of its labels, in their order."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


Read = Callable[[], Iterable[Reading]]


class _Source(NamedTuple):
    loop: asyncio.AbstractEventLoop
    read: Read


_sources: list[_Source] = []
_turn = threading.Lock()


@contextmanager
def readable(read: Read) -> Iterator[None]:
    """Have `read` called on the running loop whenever somebody asks, for as long as the block runs.

    It must be quick: nothing else happens on the loop meanwhile.
    """
    source = _Source(asyncio.get_running_loop(), read)
    with _turn:
        _sources.append(source)
    try:
        yield
    finally:
        with _turn:
            _sources.remove(source)


def readings(patience: float = PATIENCE) -> list[Reading]:
    """Everything there is to read, within `patience` seconds. For any thread that runs no loop itself."""
    with _turn:
        sources = list(_sources)
    until = time.monotonic() + patience
    asked = [answer for source in sources if (answer := _asked(source)) is not None]
    return [reading for answer in asked for reading in _answered(answer, until - time.monotonic())]


def _asked(source: _Source) -> "Future[list[Reading]] | None":
    answer: Future[list[Reading]] = Future()

    def read() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(list(source.read()))
        except Exception as error:  # noqa: BLE001 - told where it is waited for
            answer.set_exception(error)

    try:
        source.loop.call_soon_threadsafe(read)
    except RuntimeError:  # the loop is closed: its part of the process has ended
        return None
    return answer


def _answered(answer: "Future[list[Reading]]", seconds: float) -> list[Reading]:
    try:
        return answer.result(max(seconds, 0.0))
    except TimeoutError:
        answer.cancel()
        _log.warning("metrics not read: the event loop is busy")
    except Exception:  # noqa: BLE001 - a defect costs these values, not the others
        _log.exception("metrics not read")
    return []
