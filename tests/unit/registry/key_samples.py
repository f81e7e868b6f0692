"""Keys to test with."""

from datetime import datetime, timedelta
from typing import Any

from devteam_registry.keys.domain import JoinSpec, JoinToken, Key, KeySpec

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.key import mint
from tests.unit.registry.samples import NOON

MESH = Caller(Role.SERVICE, name="mesh key")


def key_spec(name: str = "ci", role: Role = Role.CLIENT, **more: Any) -> KeySpec:
    """What a client's key is good for, unless said otherwise."""
    return KeySpec(name=name, role=role, tenant=more.pop("tenant", "team-a"), **more)


def key(name: str = "ci", *, at: datetime = NOON, created_by: str = "", **more: Any) -> Key:
    """A key that was made at noon."""
    minted = mint("c")
    return Key(
        key_id=minted.key_id,
        spec=key_spec(name, **more),
        digest=minted.digest,
        created_at=at,
        created_by=created_by,
    )


def token(*, minutes: float = 10, **more: Any) -> JoinToken:
    """A token that is good for ten minutes from noon."""
    spec = JoinSpec(
        tenant=more.pop("tenant", "team-a"),
        queues=more.pop("queues", ("gpu",)),
        worker_id=more.pop("worker_id", ""),
        expires_at=NOON + timedelta(minutes=minutes),
    )
    return JoinToken(digest=mint("j").digest, spec=spec, **more)
