"""Whose queues and tasks a caller may hear of."""

from collections.abc import Iterable

from devteam.mesh.access.caller import Caller
from devteam.mesh.channel import TENANT_KEY
from devteam.v1 import run_pb2
from devteam_router.convert.runs import NO_TENANT


def asked_for(metadata: Iterable[tuple[str, str | bytes]] | None, caller: Caller, *, local: bool) -> str:
    """The tenant that nobody else's things are told to; "": all are told.

    Another Router, which asks for what is `local`, names the one that it was asked by itself.
    """
    if caller.tenant or not local:
        return caller.tenant
    return next((str(value) for key, value in metadata or () if key == TENANT_KEY), "")


def passed_on(whose: str) -> tuple[tuple[str, str], ...]:
    """What tells another Router the same."""
    return ((TENANT_KEY, whose),) if whose else ()


def of_dry_run(run: run_pb2.Run, caller: Caller) -> str:
    """Whose a run would be that does not exist. Raises PermissionDenied for another tenant's than the caller's."""
    return caller.acts_for(run.tenant, NO_TENANT)
