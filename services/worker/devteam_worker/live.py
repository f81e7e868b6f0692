"""Which settings take effect while a worker works, and which with its next start."""

from dataclasses import dataclass, replace

from devteam_worker.domain import Declaration, Queue
from devteam_worker.settings import WorkerSettings
from devteam_worker.settings_sections import QueueSettings

# Of a queue, only its concurrency.
_LIVE = ("concurrency", "weight", "labels", "log_level")


@dataclass(frozen=True, slots=True)
class Change:
    """`settings` hold from now on; `applied` and `waiting` are keys, as the file has them."""

    settings: WorkerSettings
    # What is different from now on.
    applied: tuple[str, ...]
    # What was wished and differs from what the worker works with, until it begins anew.
    waiting: tuple[str, ...]


def taken_over(now: WorkerSettings, wished: WorkerSettings) -> Change:
    """What becomes of settings that a worker reads while it works with others."""
    names = [name for name in _LIVE if getattr(now, name) != getattr(wished, name)]
    if now.queues != wished.queues and _served(now.queues) == _served(wished.queues):
        names.append("queues")
    settings = now.model_copy(update={name: getattr(wished, name) for name in names})
    different = [name for name in WorkerSettings.model_fields if getattr(settings, name) != getattr(wished, name)]
    return Change(settings, _keys(names), _keys(different))


def declared_anew(declaration: Declaration, settings: WorkerSettings) -> Declaration:
    """What the worker says of itself with other settings; its queues keep their models."""
    slots = {queue.name: queue.concurrency for queue in settings.queues}
    queues = tuple(Queue(queue.name, slots[queue.name], queue.models) for queue in declaration.queues)
    return replace(
        declaration,
        queues=queues,
        concurrency=settings.concurrency or sum(queue.concurrency for queue in queues),
        labels=settings.labels,
        weight=settings.weight,
    )


def _served(queues: tuple[QueueSettings, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(queue.name, queue.models) for queue in queues]


def _keys(names: list[str]) -> tuple[str, ...]:
    return tuple(WorkerSettings.model_fields[name].alias or name for name in names)
