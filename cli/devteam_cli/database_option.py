"""The database that a command works on by itself, without a mesh."""

from typing import Annotated

import typer

Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="DEVTEAM_DATABASE_URL",
        help="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME; a password is safer in the variable.",
    ),
]


def checked(url: str) -> str:
    """The URL, if it is a database's. Raises typer.BadParameter, without quoting it: it may hold a password."""
    from pydantic import TypeAdapter, ValidationError

    from devteam.mesh.settings import DatabaseUrl

    try:
        known: str = TypeAdapter(DatabaseUrl).validate_python(url)
    except ValidationError:
        known = "memory"
    if known == "memory":
        raise typer.BadParameter(
            "must be sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME", param_hint="--database"
        )
    return known
