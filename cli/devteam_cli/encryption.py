"""`devteam encryption`: keys for what the Planner's database keeps, and the database brought to a key."""

import asyncio
import time
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli import output
from devteam_cli.database_option import Database, checked
from devteam_cli.failures import Exit, code_of, complain
from devteam_cli.stderr import say

# Seconds between two words of how far it is.
_EVERY = 2.0

app = typer.Typer(help="Encrypt prompts, inputs, outputs and tokens in the Planner's database.", no_args_is_help=True)

KeyId = Annotated[str, typer.Option("--id", help="What to call it [the day, and two letters].")]
Keys = Annotated[Path, typer.Option("--keys", help="The Planner's encryption_keys_file; its first key encrypts.")]
Off = Annotated[bool, typer.Option("--off", help="Decrypt everything.")]


@app.command("new-key")
def new_key(*, key_id: KeyId = "") -> None:
    """Write a new key to stdout: a line for the Planner's encryption_keys_file, which is to have mode 0600."""
    from datetime import UTC, datetime

    from devteam_planner.encryption_keys import new_line

    try:
        output.write(f"{new_line(datetime.now(UTC), key_id)}\n")
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None


@app.command("rotate")
def rotate(*, database: Database, keys: Keys, off: Off = False) -> None:
    """Bring the whole database to the first key of the file: rows of other keys, and those that are not encrypted.

    Safe beside Planners that run with the same file. Broken off, it goes on where it was when it is called again.
    """
    url = checked(database)
    try:
        asyncio.run(_rotate(url, keys, off=off))
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    raise typer.Exit(Exit.OK)


async def _rotate(url: str, path: Path, *, off: bool) -> None:
    from devteam_planner.encryption_keys import read_keys
    from devteam_planner.store.rotation import Rotation
    from devteam_planner.store.tables import MIGRATIONS

    from devteam.mesh.database import open_database

    cipher = read_keys(path, setting="--keys").cipher(off=off)
    database = await open_database(url, MIGRATIONS, may_migrate=False)
    changed: Counter[str] = Counter()
    said = time.monotonic()
    try:
        async with aclosing(Rotation(database, cipher).run()) as steps:
            async for told in steps:
                changed[told.table] += told.changed
                if time.monotonic() - said >= _EVERY:
                    said = time.monotonic()
                    say(f"{told.table}: {told.seen} of {told.total} looked at", dim=True)
    finally:
        await database.close()
    output.write(", ".join(f"{table}: {number} changed" for table, number in changed.items()) + "\n")
