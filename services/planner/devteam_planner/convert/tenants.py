"""Whose call it is."""

from collections.abc import Iterable

from devteam.mesh.channel import TENANT_KEY
from devteam.mesh.validation import Violations
from devteam_planner.domain import DEFAULT_TENANT

_LONGEST = 64


def tenant_from_metadata(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The tenant that a call is made for. Raises InvalidInput.

    The one place where that is decided. On a mesh without keys it is the caller's own word: it shares the room there
    is, and keeps nobody out.
    """
    said = next((value for key, value in metadata or () if key == TENANT_KEY), "")
    tenant = said.decode(errors="replace") if isinstance(said, bytes) else said
    found = Violations()
    found.name(TENANT_KEY, tenant, limit=_LONGEST, required=False)
    found.raise_if_any()
    return tenant or DEFAULT_TENANT
