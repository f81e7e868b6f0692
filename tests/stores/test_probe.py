"""Whether a database that was full has room again."""

from pathlib import Path
from typing import Any

import pytest
from devteam_registry.store.sql import MIGRATIONS
from sqlalchemy import event

from devteam.mesh.database import open_database
from devteam.mesh.errors import Unavailable


async def test_a_probe_that_finds_little_room_leaves_nothing_behind(tmp_path: Path) -> None:
    """Room for its table, but not for its row: the next probe must find the database as it was."""
    database = await open_database(f"sqlite:///{tmp_path / 'test.db'}", MIGRATIONS)
    more_pages = 2

    def limit(connection: Any, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + more_pages}")

    event.listen(database._engine, "checkout", limit)  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="disk of the database is full"):
        await database.probe()
    assert database.full
    more_pages = 1_000
    await database.probe()
    assert not database.full
    await database.close()
