"""The command that shows what a worker logged."""

from contextlib import suppress
from typing import Annotated

import typer

from devteam_worker.command_line import Data, WorkerId, complaining, presences_in, write
from devteam_worker.data_folder import folder


def logs(
    worker_id: WorkerId = None,
    data: Data = None,
    *,
    count: Annotated[int, typer.Option("-n", "--lines", help="So many of the last lines.", min=0)] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written, until Ctrl-C.")] = False,
) -> None:
    """Show the last lines that a worker of this machine logged, also after it has ended. Times are UTC."""
    from devteam_worker.log_file import lines, readable, the_log

    with complaining(), suppress(KeyboardInterrupt):
        live = presences_in(data).meant(None)
        name = worker_id or (live[0].worker_id if len(live) == 1 else None)
        path = the_log(folder(data) / "workers", name)
        for line in lines(path, count, follow=follow):
            write(readable(line))
