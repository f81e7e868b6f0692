"""Keys and join tokens as rows, and back."""

from collections.abc import Mapping
from typing import Any

from devteam.mesh.access.caller import Role
from devteam_registry.keys.domain import JoinSpec, JoinToken, Key, KeySpec
from devteam_registry.store.rows import in_utc


def row_from_key(key: Key) -> dict[str, Any]:
    """The columns of a key."""
    spec = key.spec
    return {
        "key_id": key.key_id,
        "digest": key.digest,
        "name": spec.name,
        "role": spec.role.value,
        "tenant": spec.tenant,
        "queues": list(spec.queues),
        "worker_id": spec.worker_id,
        "rate": spec.rate,
        "expires_at": spec.expires_at,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def key_from_row(row: Mapping[str, Any]) -> Key:
    """The key that a row holds."""
    spec = KeySpec(
        name=row["name"],
        role=Role(row["role"]),
        tenant=row["tenant"],
        queues=tuple(row["queues"]),
        worker_id=row["worker_id"],
        expires_at=row["expires_at"] and in_utc(row["expires_at"]),
        rate=row["rate"],
    )
    return Key(
        key_id=row["key_id"],
        spec=spec,
        digest=bytes(row["digest"]),
        created_at=in_utc(row["created_at"]),
        created_by=row["created_by"],
        revoked_at=row["revoked_at"] and in_utc(row["revoked_at"]),
        last_used_at=row["last_used_at"] and in_utc(row["last_used_at"]),
    )


def row_from_token(token: JoinToken) -> dict[str, Any]:
    """The columns of a join token."""
    spec = token.spec
    return {
        "digest": token.digest,
        "tenant": spec.tenant,
        "queues": list(spec.queues),
        "worker_id": spec.worker_id,
        "expires_at": spec.expires_at,
        "created_by": token.created_by,
        "used_at": token.used_at,
    }


def token_from_row(row: Mapping[str, Any]) -> JoinToken:
    """The join token that a row holds."""
    spec = JoinSpec(
        tenant=row["tenant"],
        queues=tuple(row["queues"]),
        worker_id=row["worker_id"],
        expires_at=in_utc(row["expires_at"]),
    )
    return JoinToken(
        digest=bytes(row["digest"]),
        spec=spec,
        created_by=row["created_by"],
        used_at=row["used_at"] and in_utc(row["used_at"]),
    )
