"""Tables of a PostgreSQL database for one transaction alone, without a deadlock with anybody."""

from collections.abc import Container

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from devteam.mesh.errors import Unavailable

# Milliseconds to wait for one table while others are held. PostgreSQL looks for deadlocks after a second of waiting: by
# then this side has let go of all of them.
_WAIT_MS = 150
_PAUSE_SECONDS = 0.1
_LOCK_NOT_AVAILABLE = "55P03"


def hold_tables(connection: sa.Connection, names: Container[str], tries: int = 100) -> None:
    """Have those of these tables that are there, until the transaction ends. Nothing to do but on PostgreSQL.

    A migration takes its tables one by one, and a service that has the second and wants the first would wait for it as
    it waits for the service. Raises Unavailable when others hold them for too long.
    """
    if connection.dialect.name != "postgresql":
        return
    held = [name for name in sa.inspect(connection).get_table_names() if name in names]
    if not held:
        return
    quoted = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in held)
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {_WAIT_MS}"))
    for _ in range(tries):
        if _taken(connection, sa.text(f"LOCK TABLE {quoted} IN ACCESS EXCLUSIVE MODE")):
            break
        connection.execute(sa.select(sa.func.pg_sleep(_PAUSE_SECONDS)))
    else:
        raise Unavailable(
            f"others hold the tables {', '.join(held)}, so that nothing was migrated; try again, or see pg_locks",
            reason="STORAGE_BUSY",
        )
    connection.execute(sa.text("SET LOCAL lock_timeout TO DEFAULT"))


def _taken(connection: sa.Connection, lock: sa.TextClause) -> bool:
    try:
        # What was taken before the one that cannot be had is let go of with it.
        with connection.begin_nested():
            connection.execute(lock)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
