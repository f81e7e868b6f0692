"""`devteam erase`: forget all that a tenant asked and was answered."""

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_cli import output
from devteam_cli.failures import Exit
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam import Erased

Tenant = Annotated[str, typer.Option("--tenant", help="Whose plans and tasks.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@connected
async def erase(session: Session, *, tenant: Tenant, yes: Yes = False) -> Exit | None:
    """Erase all plans and tasks of a tenant, with prompts and outputs. What runs is cancelled first.

    Broken off, it goes on where it was when it is called again.
    """
    if not yes and not _agreed(tenant):
        say("nothing was erased")
        return Exit.CANCELLED
    last: Erased | None = None
    async with aclosing(session.client.erase_tenant(tenant)) as steps:
        async for last in steps:
            _tell(session, last)
    return Exit.OK if last is not None and last.done else Exit.FAILED


def _agreed(tenant: str) -> bool:
    """Whether whoever sits at the terminal says the tenant's name. Raises typer.BadParameter where nobody does."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask: say --yes to erase all of the tenant", param_hint="--yes")
    return str(typer.prompt(f"This cannot be undone. Type {tenant!r} to erase all of it", err=True)) == tenant


def _tell(session: Session, erased: "Erased") -> None:
    if not session.is_text:
        output.write_line(erased)
    elif erased.done:
        output.write(f"erased: {_count(erased)}\n")
    elif erased.waiting_for:
        say(f"{_count(erased)}; waits for {erased.waiting_for} cancelled to end", dim=True)
    else:
        say(_count(erased), dim=True)


def _count(erased: "Erased") -> str:
    return f"{erased.plans} plans with {erased.tasks} tasks"
