"""Who may call a mesh: keys, as they can be shown, and what is shown of them once.

Moments are in UTC. An empty tenant or worker id, and no queues, mean: any.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do."""

    UNKNOWN = "unknown"
    # Sends tasks and plans of its tenant, and reads them.
    CLIENT = "client"
    # Registers, and runs what is leased to it.
    WORKER = "worker"
    # Reads everything of its tenants; drains, routes, cancels.
    OPERATOR = "operator"
    # Everything an operator may, keys and erasing.
    ADMIN = "admin"
    # The services among themselves; no key is made with it.
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key, without what opens anything. `created_by` is the key that made it; empty: the mesh key.

    `rate` is in creates a second, 0: as is set at the services. `last_used_at` is to the minute, and as the Registry
    saw it. None: it does not end by itself, was not revoked, was not used.
    """

    id: str
    name: str = ""
    role: Role = Role.UNKNOWN
    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    rate: float = 0.0
    created_at: datetime | None = None
    created_by: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made: `secret` is the key itself, which nobody can show again."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """What lets one worker join, once. Nobody can show it again."""

    token: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as the mesh sees it. Without `keys_on` it asks nobody for a key."""

    role: Role = Role.UNKNOWN
    key_id: str = ""
    name: str = ""
    tenant: str = ""
    queues: tuple[str, ...] = ()
    worker_id: str = ""
    expires_at: datetime | None = None
    keys_on: bool = False
