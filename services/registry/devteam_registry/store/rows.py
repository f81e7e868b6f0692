"""Workers as rows, the routing as a document, and back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from devteam_registry.domain import Availability, Wishes, Worker, WorkerSpec
from devteam_registry.owners import Owner
from devteam_registry.routing import Routing

_SPEC = TypeAdapter(WorkerSpec)
_WISHES = TypeAdapter(Wishes)
_ROUTING = TypeAdapter(Routing)


def row_from_worker(worker: Worker) -> dict[str, Any]:
    """The columns of a worker."""
    return {
        "worker_id": worker.worker_id,
        "instance_id": worker.instance_id,
        "session_digest": worker.session_digest,
        "registered_at": worker.registered_at,
        "last_heartbeat_at": worker.last_heartbeat_at,
        "own_availability": worker.own_availability.value,
        "active_tasks": worker.active_tasks,
        "departed": worker.departed,
        "spec": _SPEC.dump_python(worker.spec, mode="json"),
        "wishes": _WISHES.dump_python(worker.wishes, mode="json"),
        "owner_key": worker.owner.credential,
        "owner_bound": worker.owner.bound,
        "tenant": worker.owner.tenant,
    }


def worker_from_row(row: Mapping[str, Any]) -> Worker:
    """The worker that a row holds."""
    return Worker(
        spec=_SPEC.validate_python(row["spec"]),
        instance_id=row["instance_id"],
        session_digest=row["session_digest"],
        registered_at=in_utc(row["registered_at"]),
        last_heartbeat_at=in_utc(row["last_heartbeat_at"]),
        own_availability=Availability(row["own_availability"]),
        active_tasks=row["active_tasks"],
        wishes=_WISHES.validate_python(row["wishes"]),
        departed=row["departed"],
        owner=Owner(row["owner_key"], row["tenant"], row["owner_bound"]),
    )


def document_from_routing(routing: Routing) -> Any:
    """The routing as JSON can hold it."""
    return _ROUTING.dump_python(routing, mode="json")


def routing_from_document(document: Any) -> Routing:
    """The routing that a document holds."""
    return _ROUTING.validate_python(document)


def in_utc(moment: datetime) -> datetime:
    """A moment as it was written."""
    # SQLite keeps no zone: what was written in UTC comes back without it.
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
