"""Who makes a call, and what belongs to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from devteam.mesh.errors import NotFound, PermissionDenied


class Role(StrEnum):
    """What a caller may do; `rules` has the table."""

    CLIENT = "client"
    WORKER = "worker"
    OPERATOR = "operator"
    ADMIN = "admin"
    # The services of the mesh among themselves.
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. An empty tenant, no queues and no worker id mean: any."""

    role: Role
    # The public part of its key. Empty: it showed the mesh key or a certificate, or nothing is asked for here.
    key_id: str = ""
    name: str = ""
    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    expires_at: datetime | None = None
    # Creates a second, on average; 0: as is set.
    rate: float = 0.0

    @property
    def subject(self) -> str:
        """Whose limits its calls count against; empty: nobody's, as of the mesh's own services and without keys."""
        if self.role is Role.SERVICE:
            return ""
        if self.key_id:
            return f"key {self.key_id}"
        return f"certificate {self.name}" if self.name else ""

    def sees(self, tenant: str) -> bool:
        """Whether what belongs to `tenant` exists for it."""
        return self.tenant in ("", tenant)

    def find(self, tenant: str, kind: str, name: str) -> None:
        """Let it find what is another tenant's as little as what does not exist. Raises NotFound."""
        if not self.sees(tenant):
            raise NotFound(kind, name)

    def acts_for(self, said: str, default: str) -> str:
        """The tenant that it creates for, where it says `said`. Raises PermissionDenied for another's."""
        if said and not self.sees(said):
            raise PermissionDenied(
                f"this key is tenant {self.tenant!r}'s; it cannot act for {said!r}", reason="TENANT_NOT_ALLOWED"
            )
        return self.tenant or said or default

    def uses_queue(self, queue: str) -> None:
        """Let it use a queue; "" leaves the choice to the mesh, which not every key may. Raises PermissionDenied."""
        if self.queues and queue not in self.queues:
            named = f"queue {queue!r} is not one of this key's" if queue else "this key has to name a queue"
            raise PermissionDenied(f"{named}: {', '.join(self.queues)}", reason="QUEUE_NOT_ALLOWED")

    def is_worker(self, worker_id: str) -> None:
        """Let it act as a worker. Raises PermissionDenied where its key is another's."""
        if self.worker_id and self.worker_id != worker_id:
            raise PermissionDenied(
                f"this key is worker {self.worker_id!r}'s; it cannot act as {worker_id!r}", reason="WORKER_ID_BOUND"
            )


# On a mesh that asks for no keys, whoever reaches it may do everything.
ANYONE = Caller(Role.ADMIN)

# Who shows no key where keys are asked for, and none is needed. Nothing can have such a name, so nothing is theirs.
STRANGER = Caller(Role.CLIENT, name="stranger", tenant="(none)", queues=("(none)",), worker_id="(none)")

_current: ContextVar[Caller] = ContextVar("devteam_caller", default=ANYONE)


def current_caller() -> Caller:
    """Who made the call that is being answered; ANYONE outside of calls."""
    return _current.get()


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Within the block, `caller` is the current one."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)
