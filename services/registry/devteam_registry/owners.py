"""Whose a worker is, by the key that it registered with: who else may take its id, see it, or change it."""

from dataclasses import dataclass

from devteam.mesh.errors import NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class Owner:
    """What a worker's key said.

    `credential` is the id of the key, or the name in the certificate that stood for one; empty: the mesh asks for none,
    or it has ended. `bound`: it is for this worker alone. `tenant` is whose tasks the worker runs; empty: everyone's.
    """

    credential: str = ""
    tenant: str = ""
    bound: bool = False

    def seen_by(self, whose: str) -> bool:
        """Whether the worker exists for those of one tenant; "" is everyone's."""
        return not whose or self.tenant in ("", whose)

    def yields_to(self, other: "Owner") -> bool:
        """Whether another key may register the worker anew while it is alive.

        One that is for this worker alone may, unless it is another tenant's: a tenant makes such keys as it likes.
        """
        for_it_alone = other.bound and other.tenant in ("", self.tenant)
        same = not self.credential or not other.credential or self.credential == other.credential
        return same or for_it_alone


def find(owner: Owner, whose: str, worker_id: str) -> None:
    """Let those of one tenant find no other's workers. Raises NotFound, as for what does not exist."""
    if not owner.seen_by(whose):
        raise NotFound("worker", worker_id)


def change(owner: Owner, whose: str, worker_id: str) -> None:
    """Let those of one tenant change no worker that serves others too. Raises NotFound and PermissionDenied."""
    find(owner, whose, worker_id)
    if whose and not owner.tenant:
        raise PermissionDenied(
            f"worker {worker_id!r} serves every tenant, and this key is tenant {whose!r}'s: ask the mesh's operator",
            reason="TENANT_NOT_ALLOWED",
        )


def taken(worker_id: str, when: str) -> PermissionDenied:
    """The refusal of an id that is another key's; `when` says until when, and what to do."""
    return PermissionDenied(f"worker id {worker_id!r} is another key's: {when}", reason="WORKER_ID_BOUND")
