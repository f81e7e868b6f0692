"""What a caller's key says of the worker that it registers."""

from devteam.mesh.access.caller import ANYONE, Caller, Role
from devteam.mesh.errors import NotFound, PermissionDenied
from devteam_registry.domain import Farewell, WorkerSpec
from devteam_registry.owners import Owner


def owner_of(caller: Caller, spec: WorkerSpec) -> Owner:
    """Whose the worker is. Raises PermissionDenied for an id, or a queue, that the caller's key is not for."""
    caller.is_worker(spec.worker_id)
    for queue in spec.queues:
        caller.uses_queue(queue.name)
    return Owner(caller.key_id or caller.name, caller.tenant, bound=bool(caller.worker_id))


def takes_itself_off(caller: Caller, farewell: Farewell) -> None:
    """Let a worker take nobody but itself off the list. Raises PermissionDenied."""
    caller.is_worker(farewell.worker_id)
    if caller.role is Role.WORKER and not farewell.session_token:
        raise PermissionDenied(
            "a worker leaves with its registration's session token; without one, operators take workers off the list",
            reason="SESSION_INVALID",
        )


def watches_as_router(caller: Caller) -> None:
    """Let nobody but a service of the mesh hear what only Routers may know. Raises PermissionDenied."""
    if caller.role is not Role.SERVICE and caller != ANYONE:
        raise PermissionDenied(
            "only a Router, with the mesh's key, gives a router_id; leave it empty to look on",
            reason="ROLE_NOT_ALLOWED",
        )


def whole_mesh(caller: Caller) -> None:
    """Let those of one tenant change nothing that concerns all of them. Raises PermissionDenied."""
    if caller.tenant:
        raise PermissionDenied(
            f"this key is tenant {caller.tenant!r}'s, and routing is every tenant's: ask an operator of the mesh",
            reason="TENANT_NOT_ALLOWED",
        )


def every_queue(caller: Caller) -> None:
    """Let whose key is for some queues change nothing that concerns all of them. Raises PermissionDenied."""
    if caller.queues:
        raise PermissionDenied(
            f"this key is for some queues ({', '.join(caller.queues)}), and routing is every queue's: ask an operator "
            "of all of them",
            reason="QUEUE_NOT_ALLOWED",
        )


def looks_at(caller: Caller, worker_id: str) -> None:
    """Let a worker see nobody but itself, where its key says who it is. Raises NotFound, as for whom nobody knows."""
    if caller.worker_id not in ("", worker_id):
        raise NotFound("worker", worker_id)
