"""Keys for people."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from devteam.keys import Identity, Key
from devteam_cli.render import details, table
from devteam_cli.text import ago, left

if TYPE_CHECKING:
    from rich.table import Table

_TITLES = ("ID", "NAME", "ROLE", "TENANT", "QUEUES", "WORKER", "CREATED", "LAST USED", "ENDS", "STATE")
_ALL = "all"


def keys_table(keys: Iterable[Key], *, states: bool = False, now: datetime | None = None) -> "Table":
    """All keys, and (`states`) whether they are valid."""
    now = now or datetime.now(UTC)
    rows = (
        (
            key.id,
            key.name,
            key.role.value,
            key.tenant or _ALL,
            ", ".join(key.queues) or _ALL,
            key.worker_id or "-",
            ago(key.created_at, now),
            ago(key.last_used_at, now),
            "never" if key.expires_at is None else _when(key.expires_at, now),
            state(key, now),
        )
        for key in keys
    )
    shown = len(_TITLES) if states else len(_TITLES) - 1
    return table(_TITLES[:shown], (row[:shown] for row in rows), "STATE")


def state(key: Key, now: datetime) -> str:
    """Whether it is good for anything: "valid", "expired" or "revoked"."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "valid"


def worth(key: Key | Identity) -> str:
    """What it is good for, in words: "worker gpu-box of tenant team-a in the queue gpu"."""
    whose = f" of tenant {key.tenant}" if key.tenant else " of all tenants"
    which = f" {key.worker_id}" if key.worker_id else ""
    queues = f" in the queue{'s' if len(key.queues) > 1 else ''} {', '.join(key.queues)}" if key.queues else ""
    return f"{key.role.value}{which}{whose}{queues}"


def ends(key: Key | Identity, now: datetime | None = None) -> str:
    """When it ends by itself, in words."""
    return "ends only when it is revoked" if key.expires_at is None else f"ends in {left(key.expires_at, now)}"


def identity_table(identity: Identity) -> "Table":
    """Who somebody is."""
    return details(
        (
            ("name", identity.name or "-"),
            ("key", identity.key_id or "none"),
            ("role", identity.role.value),
            ("tenant", identity.tenant or _ALL),
            ("queues", ", ".join(identity.queues) or _ALL),
            ("worker", identity.worker_id),
            ("ends", "" if identity.expires_at is None else f"in {left(identity.expires_at)}"),
        )
    )


def _when(moment: datetime, now: datetime) -> str:
    return ago(moment, now) if moment <= now else f"in {left(moment, now)}"
