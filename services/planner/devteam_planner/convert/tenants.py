"""Whose call it is, and whom it is about."""

from collections.abc import Iterable

from devteam.mesh.access.caller import Caller
from devteam.mesh.channel import TENANT_KEY
from devteam.mesh.validation import Violations
from devteam.v1 import planner_pb2
from devteam_planner.domain import DEFAULT_TENANT
from devteam_planner.erasure import Erased

_LONGEST = 64


def tenant_from_metadata(metadata: Iterable[tuple[str, str | bytes]] | None, caller: Caller) -> str:
    """The tenant that a caller creates for: its key's, or the one that it names if its key leaves that open.

    On a mesh without keys it is the caller's own word: it shares the room there is, and keeps nobody out. Raises
    InvalidInput, and PermissionDenied for another tenant than the key's.
    """
    said = next((value for key, value in metadata or () if key == TENANT_KEY), "")
    tenant = said.decode(errors="replace") if isinstance(said, bytes) else said
    found = Violations()
    found.name(TENANT_KEY, tenant, limit=_LONGEST, required=False)
    found.raise_if_any()
    return caller.acts_for(tenant, DEFAULT_TENANT)


def tenant_from_proto(tenant: str) -> str:
    """The tenant that a request is about. Raises InvalidInput."""
    found = Violations()
    found.name("tenant", tenant, limit=_LONGEST)
    found.raise_if_any()
    return tenant


def erased_to_proto(erased: Erased) -> planner_pb2.EraseTenantResponse:
    """How far it is."""
    return planner_pb2.EraseTenantResponse(
        plans=erased.plans, tasks=erased.tasks, waiting_for=erased.waiting_for, done=erased.done
    )
