"""Who can read the file of a database."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from devteam_registry.store.sql import MIGRATIONS

from devteam.mesh.database import open_database
from devteam.mesh.schema import migrating


@pytest.fixture(autouse=True)
def _everybody_may_read_what_is_made() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()]


async def test_a_new_file_is_for_its_owner_alone_and_so_is_what_lies_beside_it(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/mesh.db", MIGRATIONS)
    try:
        await database.probe()
        assert modes(tmp_path) == [0o600] * 3
    finally:
        await database.close()


def test_so_it_is_when_somebody_migrates_it_before(tmp_path: Path) -> None:
    with migrating(f"sqlite:///{tmp_path}/mesh.db") as connection:
        connection.execute(sa.text("CREATE TABLE something (name TEXT)"))
    assert modes(tmp_path) == [0o600]


async def test_one_that_is_there_keeps_what_its_owner_gave_it(tmp_path: Path) -> None:
    file = tmp_path / "mesh.db"
    file.touch()
    file.chmod(0o640)
    await (await open_database(f"sqlite:///{file}", MIGRATIONS)).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
