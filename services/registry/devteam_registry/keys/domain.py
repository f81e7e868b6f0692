"""Keys and join tokens, as the Registry keeps them: never what opens anything, only its digest."""

from dataclasses import dataclass, field
from datetime import datetime

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.keyring import KeyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """What a key is good for. An empty tenant, no queues and no worker id mean: any. `rate` is in creates a second."""

    name: str
    role: Role
    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    expires_at: datetime | None = None
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key. `created_by` is the key that made it; empty: the mesh key."""

    key_id: str
    spec: KeySpec
    digest: bytes = field(repr=False)
    created_at: datetime
    created_by: str = ""
    revoked_at: datetime | None = None
    # To the minute; None: not yet.
    last_used_at: datetime | None = None

    def has_ended(self, now: datetime) -> bool:
        """Whether it is good for nothing any more."""
        return self.revoked_at is not None or (self.spec.expires_at is not None and self.spec.expires_at <= now)

    @property
    def weight(self) -> int:
        """About how many bytes it takes to tell a service of it, and rather more than less."""
        spec = self.spec
        texts = (spec.name, spec.tenant, spec.worker_id, *spec.queues)
        return 100 + sum(len(text.encode()) + 2 for text in texts)

    @property
    def record(self) -> KeyRecord:
        """What callers are judged by."""
        spec = self.spec
        caller = Caller(
            role=spec.role,
            key_id=self.key_id,
            name=spec.name,
            tenant=spec.tenant,
            queues=spec.queues,
            worker_id=spec.worker_id,
            expires_at=spec.expires_at,
            rate=spec.rate,
        )
        return KeyRecord(caller, self.digest, revoked=self.revoked_at is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSpec:
    """What a worker may be that joins with a token. An empty worker id: it chooses."""

    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A token that lets one worker join. It ends with the key that made it; an empty `created_by`: the mesh key."""

    digest: bytes = field(repr=False)
    spec: JoinSpec
    created_by: str = ""
    used_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether a worker may still join with it."""
        return self.used_at is None and now < self.spec.expires_at


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """Which keys to list: those after the one named `after`, at most `size`. An empty tenant: of all tenants."""

    after: str = ""
    size: int = 100
    tenant: str = ""
    include_ended: bool = False


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in the order that they were made in, and whether there are more."""

    keys: tuple[Key, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """Every key that has not ended, as of a revision. It replaces all that was said before."""

    keys: tuple[Key, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that is new or was revoked, and the revision that this makes."""

    key: Key
    revision: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new key, and what is shown of it once."""

    key: Key
    secret: str = field(repr=False)
