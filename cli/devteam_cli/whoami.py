"""`devteam whoami`: who the mesh takes one for."""

from devteam_cli import output
from devteam_cli.keys_view import identity_table
from devteam_cli.session import Session, connected
from devteam_cli.stderr import say


@connected
async def whoami(session: Session) -> None:
    """Show who the mesh takes you for, and what your key is good for."""
    identity = await session.client.identity()
    if not session.is_text:
        output.write_item(session.output, identity)
    elif identity.keys_on:
        session.show(identity_table(identity))
    else:
        say("this mesh asks for no keys: whoever reaches it may do everything")
