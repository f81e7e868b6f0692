"""The schema of a database, and how it gets from one revision to another.

Revisions are numbers of four digits, and within a hundred they only add: whoever knows 0005 works on 0006 as well, so
that a fleet can be renewed process by process once its database was. What an older version could not work on begins a
new hundred.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from devteam.mesh.errors import FailedPrecondition, Unavailable

_log = structlog.get_logger()


class SchemaTooOld(Unavailable):
    """The database has to be migrated first, by somebody else."""

    default_reason = "SCHEMA_TOO_OLD"


@contextmanager
def migrating(url: str) -> Iterator[sa.Connection]:
    """A transaction on the database at `url`, for whoever migrates it from outside.

    Raises Unavailable, with the cause, when the database cannot be used.
    """
    own_file(url)
    patience = {"timeout": 60} if make_url(url).get_backend_name() == "sqlite" else {}
    engine = sa.create_engine(url, connect_args=patience, hide_parameters=True)
    try:
        with engine.begin() as connection:
            yield connection
    except (DBAPIError, CommandError) as error:
        raise unusable(url, error) from error
    finally:
        engine.dispose()


def own_file(url: str) -> None:
    """Make the file of an SQLite database, if it is not there, for its owner's eyes; SQLite does the same beside it."""
    found = make_url(url)
    if found.get_backend_name() == "sqlite" and found.database and found.database != ":memory:":
        # What cannot be made is told by whoever opens it.
        with suppress(OSError):
            os.close(os.open(found.database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def unusable(url: str, cause: BaseException | None) -> Unavailable:
    """What to say of a database that cannot be opened; the URL is told without its password."""
    said = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip().partition("\n")[0]
    return Unavailable(f"cannot open the database {make_url(url)!r}: {said}", reason="STORAGE_UNAVAILABLE")


def prepare(connection: sa.Connection, migrations: Path, *, may_migrate: bool) -> None:
    """Bring the schema up to date, or only see that this version can work on it.

    Raises SchemaTooOld when it has to be migrated and may not be, FailedPrecondition when it is a later version's.
    """
    found, known = revision_of(connection, migrations), newest(migrations)
    if found > known:
        refuse_later(found, migrations)
        _log.info("the schema is a later version's and fits", service=name_of(migrations), schema=found, known=known)
    elif found < known and not may_migrate:
        raise SchemaTooOld(
            f"the database has schema {found or 'none'} of the {name_of(migrations)}, and this version needs {known}: "
            "run `devteam migrate`; it does not do so by itself, since migrate_at_start is off"
        )
    elif found < known:
        migrate(connection, migrations)


def refuse_later(found: str, migrations: Path) -> None:
    """Refuse a schema so much later that this version cannot work on it. Raises FailedPrecondition."""
    known = newest(migrations)
    if found > known and not fits(found, known):
        raise FailedPrecondition(
            f"the database has schema {found} of the {name_of(migrations)}, and this version knows {known} at most: "
            "run a later version, or take the schema back with that version's `devteam migrate --to`",
            reason="SCHEMA_TOO_NEW",
        )


def migrate(connection: sa.Connection, migrations: Path, target: str = "head") -> None:
    """Move the schema behind `connection` to a revision: up to "head", down to "base", or to one by its number.

    `migrations` is a folder of Alembic revisions. In one transaction, also where Python's driver of SQLite would begin
    none.
    """
    _begin(connection)
    config, found = _config(connection, migrations), revision_of(connection, migrations)
    # Only whoever changes something needs the tables for itself.
    config.attributes["changes"] = found != (newest(migrations) if target == "head" else target)
    if target == "base" or (target.isdecimal() and target < found):
        command.downgrade(config, target)
    else:
        command.upgrade(config, target)


def revision_of(connection: sa.Connection, migrations: Path) -> str:
    """The revision that the schema has; empty before the first."""
    found: list[str] = []

    def look(revision: Any, _context: Any) -> list[Any]:
        found.extend((revision,) if isinstance(revision, str) else revision)
        return []

    config = _config(connection, migrations)
    scripts = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, scripts, fn=look, dont_mutate=True):
        scripts.run_env()
    return found[0] if found else ""


def newest(migrations: Path) -> str:
    """The revision that this version works with."""
    return ScriptDirectory(str(migrations)).get_current_head() or ""


def revisions(migrations: Path) -> list[str]:
    """All revisions that this version knows, in their order."""
    return sorted(script.revision for script in ScriptDirectory(str(migrations)).walk_revisions())


def fits(found: str, known: str) -> bool:
    """Whether a version that knows one revision works on a schema of another."""
    return found >= known and found[:-2] == known[:-2]


def name_of(migrations: Path) -> str:
    """Whose schema it is: "planner"."""
    return migrations.parents[1].name.removeprefix("devteam_")


def _config(connection: sa.Connection, migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    return config


def _begin(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # it is connected
        connection.exec_driver_sql("BEGIN IMMEDIATE")
