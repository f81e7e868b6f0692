"""The databases that the Planner's store suites run on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam_planner.store.tables import MIGRATIONS

from devteam.mesh.database import Database, open_database

BACKENDS = ["memory", "sqlite_url", "postgres_url"]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database brought up to date, closed at the end."""
    database = await open_database(url, MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()
