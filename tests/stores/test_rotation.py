"""A database that is brought to another key."""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from devteam_cli.main import app
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Batch, TaskState, WorkerInstance
from devteam_planner.ports import Ending
from devteam_planner.store.rotation import Rotation
from typer.testing import CliRunner

from devteam.mesh.database import Database
from devteam.mesh.errors import Unavailable
from tests.fakes.planner_samples import NOON, a_batch
from tests.stores.planner_databases import KEYS, opened
from tests.stores.test_sealed_rows import CANARY, NEW, NONE, OLD, Stores, stores, wordy, written

ONLY_NEW = Cipher({"new": KEYS["new"]}, "new")
TO_PLAIN = Cipher(KEYS)


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


async def rotated(database: Database, cipher: Cipher) -> Counter[str]:
    changed: Counter[str] = Counter()
    async with aclosing(Rotation(database, cipher).run()) as steps:
        async for told in steps:
            changed[told.table] += told.changed
    return changed


async def seen(some: Stores, plan_id: str) -> list[object]:
    """All that was written in a plan, and the versions by which watchers know it."""
    return [
        await some.plans.requested("default", f"r-{plan_id}"),
        *[await some.plans.task(f"{plan_id}.{step}") for step in "abc"],
        await some.plans.attempt(f"{plan_id}.c", 2),
        await some.tokens.read(f"{plan_id}.a", 1, after=0, limit=9),
    ]


async def test_plain_rows_and_those_of_older_keys_come_to_the_current_one(url: str) -> None:
    """Nobody sees a difference, and the old key is needed no more."""
    async with opened(url) as database:
        for plan_id, cipher in (("p-1", NONE), ("p-2", OLD), ("p-3", NEW)):
            await written(stores(database, cipher), plan_id)
        before = [await seen(stores(database, NEW), plan_id) for plan_id in ("p-1", "p-2", "p-3")]
        assert await rotated(database, NEW) == {"plans": 2, "tasks": 6, "attempts": 8, "token_batches": 6}
        assert [await seen(stores(database, ONLY_NEW), plan_id) for plan_id in ("p-1", "p-2", "p-3")] == before
        assert CANARY not in await stores(database, NEW).rows()
        assert (await rotated(database, NEW)).total() == 0, "what is as it should be stays untouched"


async def test_it_is_turned_off_again(url: str) -> None:
    async with opened(url) as database:
        await written(stores(database, NEW), "p-1")
        before = await seen(stores(database, NEW), "p-1")
        assert (await rotated(database, TO_PLAIN)).total() > 0
        assert await seen(stores(database, NONE), "p-1") == before


async def test_a_rotation_that_broke_off_goes_on(url: str) -> None:
    async with opened(url) as database:
        for number in range(60):
            await stores(database, OLD).plans.add(wordy(f"p-{number:02}"))
        steps = Rotation(database, NEW).run()
        changed = 0
        async for told in steps:
            changed += told.changed
            if changed:
                break
        await steps.aclose()
        assert 0 < changed < 60
        assert (await rotated(database, NEW))["plans"] == 60 - changed


class Scrubs:
    """A database that counts how often its files were rid of what they held before."""

    def __init__(self, database: Database) -> None:
        self.dialect, self.read, self.write = database.dialect, database.read, database.write
        self.count = 0

    async def scrub(self) -> None:
        self.count += 1


async def test_one_that_broke_off_at_its_end_still_leaves_nothing_plain(sqlite_url: str) -> None:
    """The next finds every row as it should be, and yet what was there before in the files."""
    async with opened(sqlite_url) as database:
        await written(stores(database, NONE), "p-1")
        scrubs: Any = Scrubs(database)
        async with aclosing(Rotation(scrubs, NEW).run()) as steps:
            async for told in steps:
                if told.table == "token_batches" and told.changed:
                    break
        assert scrubs.count == 0
        assert (await rotated(scrubs, NEW)).total() == 0
        assert scrubs.count == 1


async def test_what_a_planner_writes_meanwhile_is_not_overwritten(url: str) -> None:
    """It has been read, and not been written back yet, when the task ends; another round finds it as it is then."""
    async with opened(url) as database:
        some, rotation = stores(database, OLD), Rotation(database, NEW)
        await written(some, "p-1")

        async def ends_meanwhile() -> None:
            ending = Ending(TaskState.SUCCEEDED, burns=False, output="canary late output")
            await some.plans.note_assigned("p-1.c", 2, WorkerInstance("w1", "i1"), "q", "turn", NOON)
            assert await some.plans.end_attempt("p-1.c", 2, WorkerInstance("w1", "i1"), ending, NOON)

        reads, ended = rotation._next, asyncio.Event()

        async def reads_and_waits(table: sa.Table, after: Sequence[Any] | None) -> Sequence[sa.Row[Any]]:
            rows = await reads(table, after)
            if table.name == "tasks" and not ended.is_set():
                ended.set()
                await ends_meanwhile()
            return rows

        rotation._next = reads_and_waits  # type: ignore[method-assign]  # a race
        async with aclosing(rotation.run()) as steps:
            async for _ in steps:
                pass
        task = await stores(database, ONLY_NEW).plans.task("p-1.c")
        assert (task.state, task.output) == (TaskState.SUCCEEDED, "canary late output")


async def test_a_row_that_no_key_opens_stops_it_with_the_keys_name(url: str) -> None:
    async with opened(url) as database:
        await written(stores(database, OLD), "p-1")
        with pytest.raises(Unavailable, match="encrypted with key 'old'"):
            await rotated(database, ONLY_NEW)


def test_the_command_leaves_no_plain_byte_in_sqlites_files(tmp_path: Path) -> None:
    """Nor in its journal. Going to the next key and off again are the same command."""
    path, keys = tmp_path / "planner.db", tmp_path / "keys"
    url = f"sqlite:///{path}"
    asyncio.run(_write_some(url))
    assert CANARY.encode() in path.read_bytes()
    line = ran("new-key", "--id", "one").out
    keys.write_text(line)
    keys.chmod(0o600)
    done = ran("rotate", "--database", url, "--keys", str(keys))
    assert done.out == "plans: 5 changed, tasks: 15 changed, attempts: 20 changed, token_batches: 15 changed\n"
    assert all(CANARY.encode() not in each.read_bytes() for each in tmp_path.glob("planner.db*"))
    keys.write_text(ran("new-key").out + line)
    assert "tasks: 15 changed" in ran("rotate", "--database", url, "--keys", str(keys)).out
    assert "tasks: 15 changed" in ran("rotate", "--database", url, "--keys", str(keys), "--off").out
    assert asyncio.run(_read_tokens(url)) == [a_batch(1, "canary ", "token")]


async def _write_some(url: str) -> None:
    async with opened(url) as database:
        for number in range(5):
            await written(stores(database, NONE), f"p-{number}")


async def _read_tokens(url: str) -> list[Batch]:
    async with opened(url) as database:
        return await stores(database, NONE).tokens.read("p-1.a", 1, after=0, limit=9)


def test_new_keys_are_lines_of_the_file() -> None:
    key_id, key = ran("new-key").out.split()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{4}", key_id)
    assert len(base64.b64decode(key)) == 32
    refused = ran("new-key", "--id", "no id")
    assert (refused.code, refused.out) == (2, "")
    assert "'no id' is no id" in refused.err


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(ran("new-key").out)
    keys.chmod(0o644)
    refused = ran("rotate", "--database", f"sqlite:///{tmp_path / 'x.db'}", "--keys", str(keys))
    assert refused.code == 2
    assert "--keys: others may read keys (mode 0644): chmod 600 it" in refused.err
    assert not (tmp_path / "x.db").exists()


class ran:  # noqa: N801 - reads as a verb
    def __init__(self, *arguments: str) -> None:
        done = CliRunner().invoke(app, ["encryption", *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.code, self.out, self.err = done.exit_code, done.stdout, done.stderr
