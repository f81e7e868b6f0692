"""Keys and callers, from the contract's messages. Pure functions, named by direction."""

from devteam.keys import Identity, JoinToken, Key, NewKey, Role
from devteam.scalars import member_from_proto, moment_from_proto
from devteam.v1 import access_pb2


def key_from_proto(key: access_pb2.Key) -> Key:
    """A key."""
    spec = key.spec
    return Key(
        id=key.key_id,
        name=spec.name,
        role=_role(spec.role),
        tenant=spec.tenant,
        queues=tuple(spec.queues),
        worker_id=spec.worker_id,
        rate=spec.rate,
        created_at=moment_from_proto(key, "created_at"),
        created_by=key.created_by,
        expires_at=moment_from_proto(spec, "expires_at"),
        revoked_at=moment_from_proto(key, "revoked_at"),
        last_used_at=moment_from_proto(key, "last_used_at"),
    )


def new_key_from_proto(answer: access_pb2.CreateKeyResponse | access_pb2.JoinWorkerResponse) -> NewKey:
    """A key that was just made."""
    return NewKey(key=key_from_proto(answer.key), secret=answer.secret)


def join_token_from_proto(answer: access_pb2.CreateJoinTokenResponse) -> JoinToken:
    """A join token."""
    return JoinToken(token=answer.token, expires_at=moment_from_proto(answer, "expires_at"))


def identity_from_proto(identity: access_pb2.GetIdentityResponse) -> Identity:
    """Who somebody is."""
    return Identity(
        role=_role(identity.role),
        key_id=identity.key_id,
        name=identity.name,
        tenant=identity.tenant,
        queues=tuple(identity.queues),
        worker_id=identity.worker_id,
        expires_at=moment_from_proto(identity, "expires_at"),
        keys_on=identity.keys_on,
    )


def role_to_proto(role: Role) -> "access_pb2.Role.ValueType":
    """What somebody may do; one that is unknown here says nothing."""
    return access_pb2.ROLE_UNSPECIFIED if role is Role.UNKNOWN else access_pb2.Role.Value(f"ROLE_{role.name}")


def _role(number: int) -> Role:
    return member_from_proto(Role, access_pb2.Role.Name, number, "ROLE_")
