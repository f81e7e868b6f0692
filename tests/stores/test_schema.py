"""Who may work on which schema, and who brings it there."""

import asyncio
import sqlite3
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from devteam_cli.main import app
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.tables import MIGRATIONS
from devteam_registry.store.sql import MIGRATIONS as OF_REGISTRY
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from devteam.mesh import schema
from devteam.mesh.database import open_database
from devteam.mesh.errors import FailedPrecondition, Unavailable
from devteam.mesh.table_locks import hold_tables
from tests.fakes.planner_samples import a_plan

PATIENCE = 60.0
NEWEST = schema.newest(MIGRATIONS)
PREVIOUS = schema.revisions(MIGRATIONS)[-2]
# The last one without the column that every write of a task sets.
WITHOUT_CHANGES = "0004"


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def brought_to(url: str, revision: str) -> None:
    with schema.migrating(url) as connection:
        schema.migrate(connection, MIGRATIONS, revision)
        assert schema.revision_of(connection, MIGRATIONS) == revision


def pretend(url: str, revision: str) -> None:
    """A later version was here, and added something."""
    with schema.migrating(url) as connection:
        connection.execute(sa.text("ALTER TABLE plans ADD COLUMN later TEXT"))
        connection.execute(sa.text("UPDATE planner_alembic_version SET version_num = :now"), {"now": revision})


def command(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["migrate", *arguments])
    return done.exit_code, done.stdout, done.stderr


async def test_whoever_may_not_migrate_refuses_an_empty_or_older_schema_and_changes_nothing(url: str) -> None:
    for found in ("none", PREVIOUS):
        with pytest.raises(
            Unavailable, match=f"has schema {found} of the planner, .* needs {NEWEST}: run `devteam mig"
        ):
            await open_database(url, MIGRATIONS, may_migrate=False)
        with schema.migrating(url) as connection:
            assert schema.revision_of(connection, MIGRATIONS) == ("" if found == "none" else PREVIOUS)
        brought_to(url, PREVIOUS)
    brought_to(url, NEWEST)
    await (await open_database(url, MIGRATIONS, may_migrate=False)).close()


@pytest.mark.parametrize("may_migrate", [True, False])
async def test_a_later_schema_that_only_added_is_worked_on(url: str, may_migrate: bool) -> None:
    """A process of the version before starts again while the others are renewed."""
    brought_to(url, NEWEST)
    pretend(url, str(int(NEWEST) + 1).zfill(4))
    database = await open_database(url, MIGRATIONS, may_migrate=may_migrate)
    store = SqlPlanStore(database)
    await store.add(a_plan())
    assert await store.plan("p-1") == a_plan()
    await database.close()
    assert command("--database", url, "-s", "planner", "--check")[0] == 0
    code, out, _ = command("--database", url, "-s", "planner")
    assert (code, "nothing to do" in out) == (0, True)


async def test_a_schema_that_is_too_new_is_refused(url: str) -> None:
    brought_to(url, NEWEST)
    later = f"{int(NEWEST[:2]) + 1:02}00"
    pretend(url, later)
    with pytest.raises(FailedPrecondition, match=f"has schema {later} of the planner, .* knows {NEWEST} at most"):
        await open_database(url, MIGRATIONS)
    code, _, err = command("--database", url, "-s", "planner")
    assert code == 2
    assert "run a later version" in err


@pytest.mark.parametrize("migrations", [MIGRATIONS, OF_REGISTRY])
def test_within_a_hundred_revisions_only_add_what_older_versions_need_not_know(url: str, migrations: Path) -> None:
    """So that a version works on the schemas after its own."""
    engine, before, hundred = create_engine(url), dict[tuple[str, str], object](), ""
    for revision in schema.revisions(migrations):
        with engine.begin() as connection:
            schema.migrate(connection, migrations, revision)
        seen = inspect(engine)
        columns = {
            (table, column["name"]): column for table in seen.get_table_names() for column in seen.get_columns(table)
        }
        tables = {table for table, _ in before}
        if revision[:2] == hundred:
            assert before.keys() <= columns.keys()
            added = [column for key, column in columns.items() if key not in before and key[0] in tables]
            assert [c["name"] for c in added if not c["nullable"] and c["default"] is None] == []
        before, hundred = dict(columns), revision[:2]
    engine.dispose()


async def test_what_is_missing_in_the_schema_is_said_to_be_changing(url: str) -> None:
    """It is no defect, and whoever asks may try again."""
    database = await open_database(url, MIGRATIONS)
    store = SqlPlanStore(database)
    await store.add(a_plan("p-1"))
    brought_to(url, WITHOUT_CHANGES)
    with pytest.raises(Unavailable, match="is not the one that this version works on") as refused:
        await store.add(a_plan("p-2"))
    assert (refused.value.reason, refused.value.retry_after) == ("SCHEMA_CHANGING", 1.0)
    brought_to(url, NEWEST)
    await store.add(a_plan("p-2"))
    assert len(await store.plans(state=None, before="", limit=9)) == 2
    await database.close()


def test_a_migration_that_breaks_off_leaves_nothing_behind(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite too: half a schema could be taken neither forward nor back."""
    brought_to(sqlite_url, WITHOUT_CHANGES)
    monkeypatch.setattr("alembic.op.create_index", _broken)
    with pytest.raises(RuntimeError, match="power cut"):
        brought_to(sqlite_url, NEWEST)
    monkeypatch.undo()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        assert "changed_at" not in str(database.execute("SELECT sql FROM sqlite_master").fetchall())
    brought_to(sqlite_url, NEWEST)


def _broken(*_: object, **__: object) -> None:
    raise RuntimeError("power cut")


def test_the_command_takes_both_schemas_up_and_one_of_them_back(url: str) -> None:
    registry = schema.newest(OF_REGISTRY)
    code, out, _ = command("--database", url, "--check")
    assert (code, out) == (
        1,
        f"planner: empty, this version's is {NEWEST}\nregistry: empty, this version's is {registry}\n",
    )
    assert command("--database", url) == (0, f"planner: empty -> {NEWEST}\nregistry: empty -> {registry}\n", "")
    assert command("--database", url) == (
        0,
        f"planner: {NEWEST}, nothing to do\nregistry: {registry}, nothing to do\n",
        "",
    )
    assert command("--database", url, "--check") == (0, f"planner: {NEWEST}\nregistry: {registry}\n", "")
    assert command("--database", url, "-s", "planner", "--to", PREVIOUS)[:2] == (
        0,
        f"planner: {NEWEST} -> {PREVIOUS}\n",
    )
    assert command("--database", url, "--check")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--to", "0001"), "say which --schema it is a revision of"),
        (("--to", "0077", "-s", "planner"), "'0077' is no revision; there are 0001, "),
        (("--to", "base", "-s", "planner"), "'base' is no revision"),
        (("-s", "router"), "'router' is not one of 'planner', 'registry'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(sqlite_url: str, arguments: tuple[str, ...], complaint: str) -> None:
    code, _, err = command("--database", sqlite_url, *arguments)
    assert code == 2
    assert complaint in err


@pytest.mark.parametrize("url", ["memory", "mysql://u:hidden@h/n", "nonsense hidden"])
def test_a_url_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    code, _, err = command("--database", url)
    assert code == 2
    assert "must be sqlite:///FILE or postgresql+psycopg://" in err
    assert "hidden" not in err


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    code, _, err = command("--database", "postgresql+psycopg://u:hidden@127.0.0.1:1/n")
    assert code == 4
    assert "cannot open the database postgresql+psycopg://u:***@127.0.0.1:1/n: " in err
    assert "hidden" not in err


def test_the_command_finds_the_revisions_of_both_services() -> None:
    for name, folder in (("planner", MIGRATIONS), ("registry", OF_REGISTRY)):
        assert schema.name_of(folder) == name
        assert str(folder).startswith(str(Path(str(import_module(f"devteam_{name}").__file__)).parent))


async def test_a_migration_and_what_services_do_meanwhile_never_wait_for_each_other(postgres_url: str) -> None:
    """It takes plans, then tasks; somebody has tasks, and wants plans. PostgreSQL would have to end one of them."""
    brought_to(postgres_url, NEWEST)
    engine = create_engine(postgres_url)
    with engine.connect() as somebody, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as onlooker:
        # The migration would be the one.
        somebody.execute(sa.text("SET deadlock_timeout = '1h'"))
        somebody.execute(sa.text("SELECT count(*) FROM tasks"))
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            migrating = group.create_task(asyncio.to_thread(brought_to, postgres_url, PREVIOUS))
            while not onlooker.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                assert not migrating.done()
                await asyncio.sleep(0.01)
            await asyncio.to_thread(somebody.execute, sa.text("SELECT count(*) FROM plans"))
            somebody.commit()
    engine.dispose()


def test_who_holds_a_table_for_long_keeps_a_migration_from_changing_anything(postgres_url: str) -> None:
    brought_to(postgres_url, NEWEST)
    engine = create_engine(postgres_url)
    with engine.begin() as somebody:
        somebody.execute(sa.text("SELECT count(*) FROM tasks"))
        with (
            pytest.raises(Unavailable, match="others hold the tables plans, tasks, so that") as busy,
            schema.migrating(postgres_url) as connection,
        ):
            hold_tables(connection, {"tasks", "plans", "elsewhere"}, tries=2)
        assert busy.value.reason == "STORAGE_BUSY"
    with schema.migrating(postgres_url) as connection:
        hold_tables(connection, {"tasks", "plans", "elsewhere"}, tries=2)
    engine.dispose()
