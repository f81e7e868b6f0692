"""What the Registry needs of the world outside."""

from collections.abc import Sequence
from typing import Protocol

from devteam_registry.domain import Worker
from devteam_registry.routing import Routing


class WorkerStore(Protocol):
    """Remembers workers over restarts of the Registry. Every method raises Unavailable when it cannot."""

    async def load_all(self) -> list[Worker]:
        """Every worker, departed ones included, in the order of their ids."""

    async def save_many(self, workers: Sequence[Worker]) -> None:
        """Insert or replace all of these, or none."""

    async def delete_many(self, worker_ids: Sequence[str]) -> None:
        """Forget all of these; an unknown id is no error."""


class RoutingStore(Protocol):
    """Remembers the routing over restarts of the Registry. Every method raises Unavailable when it cannot."""

    async def load(self) -> Routing:
        """The routing as it was saved last; one that leaves everything open before that."""

    async def save(self, routing: Routing) -> None:
        """Replace the whole of it, or nothing."""
