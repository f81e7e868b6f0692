"""`devteam migrate`: bring the schemas of a database to a revision, or say which they have."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

from collections.abc import Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli import output
from devteam_cli.database_option import Database, checked
from devteam_cli.failures import Exit, code_of, complain


class Schema(StrEnum):
    """Whose tables."""

    PLANNER = "planner"
    REGISTRY = "registry"


Schemas = Annotated[
    list[Schema], typer.Option("--schema", "-s", help="Only these tables, where the services have a database each.")
]
To = Annotated[str, typer.Option(help="A revision of the --schema, to go back to; head is this version's.")]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if there is something to do.")]


def migrate(*, database: Database, schema: Schemas = [], to: To = "head", check: Check = False) -> None:
    """Bring the tables of Planner and Registry to what this version works on. Safe beside services that run.

    Going back to an earlier revision drops what later ones have added.
    """
    url, schemas = checked(database), list(dict.fromkeys(schema)) or list(Schema)
    if to != "head" and len(schemas) != 1:
        raise typer.BadParameter("say which --schema it is a revision of", param_hint="--to")
    try:
        current = [_examined(url, its) if check else _migrated(url, its, to) for its in schemas]
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    raise typer.Exit(Exit.OK if all(current) else Exit.FAILED)


def _examined(url: str, schema: Schema) -> bool:
    from devteam.mesh.schema import fits, migrating, newest, revision_of

    folder = _migrations(schema)
    with migrating(url) as connection:
        found, known = revision_of(connection, folder), newest(folder)
    output.write(f"{schema}: {_named(found)}" + (f", this version's is {known}\n" if found != known else "\n"))
    return fits(found, known)


def _migrated(url: str, schema: Schema, to: str) -> bool:
    from devteam.mesh import schema as schemas

    folder = _migrations(schema)
    _refuse_unknown(to, schemas.revisions(folder))
    with schemas.migrating(url) as connection:
        before = schemas.revision_of(connection, folder)
        schemas.refuse_later(before, folder)
        if before <= schemas.newest(folder):
            schemas.migrate(connection, folder, to)
        after = schemas.revision_of(connection, folder)
    output.write(f"{schema}: {_named(before)}" + (f" -> {after}\n" if after != before else ", nothing to do\n"))
    return True


def _refuse_unknown(to: str, known: Sequence[str]) -> None:
    if to != "head" and to not in known:
        raise typer.BadParameter(f"{to!r} is no revision; there are {', '.join(known)} and head", param_hint="--to")


def _migrations(schema: Schema) -> Path:
    package = import_module(f"devteam_{schema}").__file__
    assert package is not None
    return Path(package).parent / "store" / "migrations"


def _named(revision: str) -> str:
    return revision or "empty"
