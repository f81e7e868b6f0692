"""Whose things are found by whom."""

from devteam.mesh.errors import NotFound


def find(tenant: str, whose: str, kind: str, name: str) -> None:
    """Let those who look for what is `whose` find nothing of another tenant's; "" looks for everyone's.

    Raises NotFound, as for what does not exist.
    """
    if whose not in ("", tenant):
        raise NotFound(kind, name)
