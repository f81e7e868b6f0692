"""The databases that the Planner's store suites run on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from devteam_planner.cipher import Cipher
from devteam_planner.store.tables import MIGRATIONS

from devteam.mesh.database import Database, open_database

# Fixtures of URLs; behind some of them what is written is encrypted.
BACKENDS = ["memory", "sqlite_url", "postgres_url", "sqlite_url sealed", "postgres_url sealed"]
KEYS = {"old": bytes(range(32)), "new": bytes(range(100, 132))}


def backend(request: pytest.FixtureRequest) -> tuple[str, Cipher]:
    """The URL that a fixture was parametrized with, and what to write with there."""
    name, _, sealed = str(request.param).partition(" ")
    url = name if name == "memory" else str(request.getfixturevalue(name))
    return url, Cipher(KEYS, "new") if sealed else Cipher()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database brought up to date, closed at the end."""
    database = await open_database(url, MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()
