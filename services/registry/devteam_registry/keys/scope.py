"""A key is never worth more than the one that made it."""

from collections.abc import Sequence
from dataclasses import replace

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.errors import PermissionDenied
from devteam_registry.keys.domain import JoinSpec, KeySpec

# Whom each may make a key for; an operator lets workers join, and no more.
_MAKES = {
    Role.SERVICE: frozenset({Role.CLIENT, Role.WORKER, Role.OPERATOR, Role.ADMIN}),
    Role.ADMIN: frozenset({Role.CLIENT, Role.WORKER, Role.OPERATOR, Role.ADMIN}),
    Role.OPERATOR: frozenset[Role](),
}


def key_within(maker: Caller, spec: KeySpec) -> KeySpec:
    """The spec in the maker's tenant. Raises PermissionDenied for a role, a tenant or a queue that it does not have."""
    if spec.role not in _MAKES.get(maker.role, frozenset()):
        raise PermissionDenied(f"this key cannot make one with the role {spec.role.value}", reason="ROLE_NOT_ALLOWED")
    _refuse_other_queues(maker, spec.queues)
    return replace(spec, tenant=maker.acts_for(spec.tenant, ""))


def token_within(maker: Caller, spec: JoinSpec) -> JoinSpec:
    """The spec in the maker's tenant. Raises PermissionDenied for a tenant or a queue that it does not have."""
    _refuse_other_queues(maker, spec.queues)
    return replace(spec, tenant=maker.acts_for(spec.tenant, ""))


def _refuse_other_queues(maker: Caller, queues: Sequence[str]) -> None:
    # No queue at all means every queue, which a key for some of them does not have.
    for queue in queues or ("",):
        maker.uses_queue(queue)
