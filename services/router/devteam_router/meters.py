"""What a Router tells of itself when somebody reads its metrics.

Two microseconds for each queue and each kind of worker in it, and 4 ms for 100,000 attempts: neither workers nor
waiting runs are looked at one by one.
"""

from collections.abc import Iterator

from devteam.mesh.clock import Clock
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.readings import Reading
from devteam_router.preferences import DEFAULT_QUEUE
from devteam_router.service import RouterCore


def read(core: RouterCore, clock: Clock) -> Iterator[Reading]:
    """Everything, as of now; on the Router's own event loop."""
    yield from _queues(core, clock.monotonic())
    yield Reading(catalog.ROUTER_LINKS, len(core.links))
    yield Reading(catalog.MODELS_THROTTLED, len(core.gates.throttles()))
    yield Reading(catalog.FENCED_WORDS, core.workers.refused_words)
    yield Reading(catalog.STREAM_BACKLOG, core.attempts.backlog, ("router",))


def _queues(core: RouterCore, now: float) -> Iterator[Reading]:
    running = core.leases.running()
    set_up = core.fleet.queues() | core.routing.named_queues() | {DEFAULT_QUEUE}
    for name in set_up:
        yield from _demand(core, name, running[name], now, guessed=False)
        yield from _room(core, name, running[name])
    for name in (core.lines.queues() | running.keys()) - set_up:
        yield from _demand(core, name, running[name], now, guessed=True)


def _demand(core: RouterCore, name: str, running: int, now: float, *, guessed: bool) -> Iterator[Reading]:
    """`guessed`: the queue is known from what waits in it alone, so that anybody may have made it up."""
    labels, waiting, since = (name,), core.lines.waiting_in(name), core.lines.oldest_in(name)
    yield Reading(catalog.QUEUE_DEPTH, waiting, labels, guessed)
    yield Reading(catalog.QUEUE_DEMAND_SLOTS, waiting + running, labels, guessed)
    yield Reading(catalog.QUEUE_OLDEST_WAIT, 0.0 if since is None else now - since, labels, guessed)
    yield Reading(catalog.QUEUE_SLOTS_USED, running, labels, guessed)


def _room(core: RouterCore, name: str, running: int) -> Iterator[Reading]:
    rows = core.fleet.rows(name).entries
    slots = sum(kind.open * row.limit for kind, row in rows)
    yield Reading(catalog.QUEUE_SLOTS_FREE, max(0, slots - running), (name,))
    yield Reading(catalog.QUEUE_WORKERS, sum(kind.open for kind, _ in rows), (name,))
