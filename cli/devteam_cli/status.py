"""`devteam status`: the whole mesh on one screen."""

from datetime import UTC, datetime

from devteam_cli import output
from devteam_cli.concerns import concerns
from devteam_cli.failures import Exit
from devteam_cli.overview import overview
from devteam_cli.session import Session, connected
from devteam_cli.status_view import as_data, screen


@connected
async def status(session: Session) -> Exit:
    """Show how the whole mesh stands, what needs attention first; exit code 1 when something does."""
    seen = await overview(session.client)
    found = concerns(seen, datetime.now(UTC))
    if session.is_text:
        session.show(*screen(seen, found))
    else:
        output.write_item(session.output, as_data(seen, found))
    return Exit.FAILED if found else Exit.OK
