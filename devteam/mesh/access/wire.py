"""Callers and keys, as the contract says them. Pure functions, named by direction."""

from datetime import UTC

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import KeyRecord
from devteam.v1 import access_pb2

ROLES: dict[Role, access_pb2.Role.ValueType] = {
    Role.CLIENT: access_pb2.ROLE_CLIENT,
    Role.WORKER: access_pb2.ROLE_WORKER,
    Role.OPERATOR: access_pb2.ROLE_OPERATOR,
    Role.ADMIN: access_pb2.ROLE_ADMIN,
    Role.SERVICE: access_pb2.ROLE_SERVICE,
}
ROLES_BY_NUMBER: dict[int, Role] = {number: role for role, number in ROLES.items()}


def record_from_proto(record: access_pb2.KeyRecord) -> KeyRecord | None:
    """What a caller is judged by; None for a role that is newer than this service: nobody has it here."""
    key, spec = record.key, record.key.spec
    role = ROLES_BY_NUMBER.get(spec.role)
    if role is None:
        return None
    caller = Caller(
        role=role,
        key_id=key.key_id,
        name=spec.name,
        tenant=spec.tenant,
        queues=tuple(spec.queues),
        worker_id=spec.worker_id,
        expires_at=spec.expires_at.ToDatetime(tzinfo=UTC) if spec.HasField("expires_at") else None,
        rate=spec.rate,
    )
    return KeyRecord(caller, record.digest, revoked=key.HasField("revoked_at"))


def identity_to_proto(caller: Caller, *, keys_on: bool) -> access_pb2.GetIdentityResponse:
    """Who somebody is."""
    identity = access_pb2.GetIdentityResponse(
        key_id=caller.key_id,
        name=caller.name,
        role=ROLES[caller.role],
        tenant=caller.tenant,
        queues=caller.queues,
        worker_id=caller.worker_id,
        keys_on=keys_on,
    )
    if caller.expires_at is not None:
        identity.expires_at.FromDatetime(caller.expires_at)
    return identity
