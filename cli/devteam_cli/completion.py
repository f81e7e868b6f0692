"""Names that a shell completes on the command line: asked of the mesh, and given up soon and in silence."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import typer

if TYPE_CHECKING:
    from devteam.client import DevTeamClient

# What may stand there, with a word on each.
_Names: TypeAlias = list[tuple[str, str]]
# Somebody has pressed a key and waits.
_PATIENCE = 0.5
_MOST = 50


def task_ids(ctx: typer.Context, incomplete: str) -> _Names:
    """The newest tasks that are no steps."""

    async def ask(client: "DevTeamClient") -> _Names:
        return [(task.id, f"{task.state.value}, {task.model}") for task in await client.list_tasks(limit=_MOST)]

    return _completed(ctx, incomplete, ask)


def plan_ids(ctx: typer.Context, incomplete: str) -> _Names:
    """The newest plans."""

    async def ask(client: "DevTeamClient") -> _Names:
        return [(plan.id, f"{plan.state.value}, {plan.name}") for plan in await client.list_plans(limit=_MOST)]

    return _completed(ctx, incomplete, ask)


def worker_ids(ctx: typer.Context, incomplete: str) -> _Names:
    """All workers."""

    async def ask(client: "DevTeamClient") -> _Names:
        return [(worker.id, worker.status.value) for worker in await client.get_workers()]

    return _completed(ctx, incomplete, ask)


def queue_names(ctx: typer.Context, incomplete: str) -> _Names:
    """All queues."""

    async def ask(client: "DevTeamClient") -> _Names:
        return [(queue.name, f"{queue.waiting} waiting") for queue in await client.list_queues()]

    return _completed(ctx, incomplete, ask)


def _completed(ctx: typer.Context, incomplete: str, ask: "Callable[[DevTeamClient], Awaitable[_Names]]") -> _Names:
    try:
        names = asyncio.run(_asked(ctx, ask))
    except Exception:  # noqa: BLE001 - a complaint would end up in the middle of somebody's command line
        return []
    return [(name, word) for name, word in names if name.startswith(incomplete)]


async def _asked(ctx: typer.Context, ask: "Callable[[DevTeamClient], Awaitable[_Names]]") -> _Names:
    from devteam_cli.session import client_of

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    async with client_of(_said(ctx, "api_url"), _said(ctx, "api_key"), _PATIENCE) as client:
        async with asyncio.timeout(_PATIENCE):
            return await ask(client)


def _said(ctx: typer.Context, option: str) -> str | None:
    """An option as it was given so far, after the command's name or before it."""
    given = (context.params.get(option) for context in (ctx, ctx.find_root()))
    return next((str(value) for value in given if value), None)
