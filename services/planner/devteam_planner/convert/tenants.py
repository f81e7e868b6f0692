"""Whose call it is."""

from collections.abc import Iterable

from devteam.mesh.access.caller import Caller
from devteam.mesh.channel import TENANT_KEY
from devteam.mesh.validation import Violations
from devteam_planner.domain import DEFAULT_TENANT

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
