"""How operators want tasks to be placed, for people."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from devteam.routing import ModelLimit, QueuePolicy, Routing
from devteam_cli.render import details, table
from devteam_cli.text import span

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_AS_SET = "as the routers are set"


def routing_parts(routing: Routing) -> list["RenderableType"]:
    """The whole policy: what holds for all, then a table for each kind of thing that there is."""
    parts: list[RenderableType] = [
        details((("strategy", routing.strategy or _AS_SET), ("locality wait", _wait(routing.locality_wait) or _AS_SET)))
    ]
    if routing.preferences:
        rows = ((model, ", ".join(queues)) for model, queues in routing.preferences.items())
        parts += ["", table(("MODEL", "QUEUES"), rows)]
    if routing.limits:
        parts += ["", _limits_table(routing.limits)]
    if routing.queues:
        parts += ["", queue_policies_table(routing.queues)]
    return parts


def queue_policies_table(policies: Iterable[QueuePolicy]) -> "Table":
    """How queues are served; a hyphen where the whole fleet's policy holds."""
    titles = ("QUEUE", "STATE", "STRATEGY", "LOCALITY WAIT", "TENANTS")
    rows = (
        (
            policy.name,
            "paused" if policy.paused else "open",
            policy.strategy or "-",
            _wait(policy.locality_wait) or "-",
            ", ".join(f"{name}={share:g}" for name, share in sorted(policy.tenant_weights.items())) or "-",
        )
        for policy in policies
    )
    return table(titles, rows, "STATE")


def _limits_table(limits: Iterable[ModelLimit]) -> "Table":
    rows = ((limit.model, limit.queue or "all", f"{limit.starts_per_minute:g}/min") for limit in limits)
    return table(("MODEL", "QUEUE", "STARTS"), rows)


def _wait(wait: timedelta | None) -> str:
    return "" if wait is None else span(wait)
