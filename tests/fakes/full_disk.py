"""A database whose disk is full, as far as anyone who writes to it can tell."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import make_url

from devteam.mesh.database import Database

_UNLIMITED = 2**32 - 2


class Disk(Protocol):
    """Can be filled, and freed again."""

    async def fill(self) -> None:
        """From now on, writes find no room."""

    async def free(self) -> None:
        """There is room again."""


def disk_of(database: Database, url: str, *tables: str) -> Disk:
    """The disk that this open database, with these tables, lies on."""
    return _SqliteDisk(database) if database.dialect == "sqlite" else _PostgresDisk(url, tables)


class _SqliteDisk:
    """SQLite's own limit, which raises what a full disk raises: it may use the pages it has and get no further one."""

    def __init__(self, database: Database) -> None:
        self._pages = _UNLIMITED
        engine: Any = database._engine  # type: ignore[attr-defined]
        event.listen(engine, "checkout", self._limit)

    async def fill(self) -> None:
        self._pages = 1  # less than there are: SQLite then keeps to those

    async def free(self) -> None:
        self._pages = _UNLIMITED

    def _limit(self, connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {self._pages}")


class _PostgresDisk:
    """Triggers that raise what a full disk raises, for rows and for tables."""

    def __init__(self, url: str, tables: Sequence[str]) -> None:
        self._tables = tables
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._carry_out(
            _RAISING.format(name="no_room_for_rows", kind="trigger"),
            _RAISING.format(name="no_room_for_tables", kind="event_trigger"),
        )

    async def fill(self) -> None:
        await self._run(
            *(
                f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION no_room_for_rows()"
                for table in self._tables
            ),
            "CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE TABLE') "
            "EXECUTE FUNCTION no_room_for_tables()",
        )

    async def free(self) -> None:
        await self._run(
            "DROP EVENT TRIGGER full_disk", *(f"DROP TRIGGER full_disk ON {table}" for table in self._tables)
        )

    async def _run(self, *statements: str) -> None:
        # Not on the event loop: it has to go on with the transactions that hold the tables.
        await asyncio.to_thread(self._carry_out, *statements)

    def _carry_out(self, *statements: str) -> None:
        with psycopg.connect(self._url) as connection:
            for statement in statements:
                connection.execute(statement.encode())


_RAISING = (
    "CREATE FUNCTION {name}() RETURNS {kind} LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
)
