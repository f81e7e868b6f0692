"""Which queues suit a model, for tasks that name no queue."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

DEFAULT_QUEUE = "default"


class Preferences:
    """A map from model patterns ("opus", "ollama:*") to queues in order of preference.

    A pattern that is the model's very name goes first, then the others in the order they were given.
    """

    def __init__(self, queues_by_pattern: Mapping[str, Sequence[str]]) -> None:
        self._queues = {pattern: tuple(queues) for pattern, queues in queues_by_pattern.items()}

    def named(self) -> set[str]:
        """Every queue that the map names."""
        return {queue for queues in self._queues.values() for queue in queues}

    def queues(self, model: str, queue: str, preferred: Sequence[str]) -> tuple[str, ...]:
        """The queues to try, in order: the task's own, else its preferred ones, else those of the map, else default."""
        if queue:
            return (queue,)
        if preferred:
            return tuple(dict.fromkeys(preferred))
        if model in self._queues:
            return self._queues[model]
        matching = (queues for pattern, queues in self._queues.items() if fnmatchcase(model, pattern))
        return next(matching, (DEFAULT_QUEUE,))
