"""The way from an empty database to the Planner's tables, and back."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from devteam_planner.store.tables import MIGRATIONS, metadata
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from devteam.mesh.database import migrate

OWN = {"plans", "tasks", "attempts", "token_batches"}


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"planner_alembic_version"}


def differences(connection: Connection) -> list[object]:
    options = {"version_table": "planner_alembic_version", "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_migrations_go_up_down_and_up_again(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for target, expected in (("head", OWN), ("base", set()), ("head", OWN)):
            migrate(connection, MIGRATIONS, target)
            assert tables(connection) == expected
    engine.dispose()


def test_migrations_make_what_the_code_expects(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "head")
        assert differences(connection) == []
    engine.dispose()


def test_a_planner_that_starts_meanwhile_waits_for_the_tables(postgres_url: str) -> None:
    """One has made them and not committed yet when the other begins."""
    engine = create_engine(postgres_url)
    with ThreadPoolExecutor(1) as other, engine.connect() as first:
        migrate(first, MIGRATIONS, "head")
        second = other.submit(bring_up, engine)
        wait_until_blocked(engine)
        first.commit()
        assert second.result(timeout=60) == OWN
    engine.dispose()


def bring_up(engine: Engine) -> set[str]:
    with engine.begin() as connection:
        migrate(connection, MIGRATIONS, "head")
        return tables(connection)


def wait_until_blocked(engine: Engine) -> None:
    """Return once some session of this database waits for a lock of another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
