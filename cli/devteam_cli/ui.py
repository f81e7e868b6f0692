"""`devteam ui`: a web page that shows a mesh while it works."""

from contextlib import suppress
from typing import Annotated

import typer

from devteam.mesh.errors import PermissionDenied, Unauthenticated
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say

Host = Annotated[str, typer.Option(help="Address to listen at.")]
Port = Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65535)]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="A name under which browsers reach the page, beside addresses and localhost; may be repeated."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Serve it also while no mesh is there, instead of an error.")]
TemporalUi = Annotated[str, typer.Option(help="Temporal's web page, http://HOST:PORT, to link histories to.")]
Insecure = Annotated[bool, typer.Option("--insecure-i-know", help="Listen beyond this machine, without TLS and keys.")]


@connected
async def ui(
    session: Session,
    *,
    host: Host = "127.0.0.1",
    port: Port = 7480,
    allow_host: AllowHost = None,
    temporal_ui: TemporalUi = "",
    wait: Wait = False,
    insecure: Insecure = False,
) -> None:
    """Serve a page that shows the mesh live: workers, queues, tasks, plans. It only looks. Ctrl-C stops it."""
    from devteam.mesh.server import Listen
    from devteam.mesh.tasks import stop_signals
    from devteam_cli.page.app import PagePlan, page
    from devteam_cli.page.server import refuse_exposed_page

    if temporal_ui and not temporal_ui.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--temporal-ui")
    plan = PagePlan(Listen(host, port, insecure=insecure), allow_host or (), temporal_ui)
    refuse_exposed_page(plan.listen)  # before a mesh is looked for, which may take its time
    if not wait:
        with suppress(Unauthenticated, PermissionDenied):  # it is there, and the page says what it may not see
            await session.client.get_status()
    # Whoever is told where the page is may send a signal at once.
    async with page(plan, session.client) as url:
        with stop_signals() as stopped:
            print(f"Page: {url}", flush=True)  # noqa: T201 - the command's output
            say(f"shows {session.client.api_url}; Ctrl-C stops it")
            say(f"stopping on {await stopped}")
