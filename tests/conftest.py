"""What every test may ask for."""

import gc
import os
import signal
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url

from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.logging_as_before import logging_as_before
from tests.fakes.postgres import postgres

_DOMAIN = Path(__file__).parent / "unit"


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start, also in the background, where SIGINT comes ignored; and time no example.

    What is imported is compiled once, not by each of the hundreds of processes of a run.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A machine that others load is no defect of what runs on it; and what lands is judged by the same games each time.
    derandomize = "CI" in os.environ
    settings.register_profile(
        "patient", deadline=None, derandomize=derandomize, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")
    # What a test configures must not stay in loggers that modules keep; the next test listens to them.
    structlog.configure = partial(_uncached, structlog.configure)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have no garbage looked for while thousands of tests are found, nor ever again among them.

    Nothing of that is garbage: to look for some took half of the time, in each of the processes of a run.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what decides about landings try tests of processes, ports and clocks twice; its log names who needed it.

    Nobody else's runs do: what passes at its second try only is a defect to be found. Tests of the domain have one try.
    """
    if "CI" in os.environ:
        for item in items:
            if not item.path.is_relative_to(_DOMAIN):
                item.add_marker(pytest.mark.flaky(reruns=1))


def _uncached(configure: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    configure(*args, **kwargs | {"cache_logger_on_first_use": False})


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """However a test, or what it runs, has logs written: the next one finds them as they were."""
    with logging_as_before():
        yield


@pytest.fixture(autouse=True, scope="module")
def nothing_left_open() -> Iterator[None]:
    """What a file's tests leave open is told of at its end, rather than in whichever test finds it later."""
    yield
    gc.collect()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URI of a real PostgreSQL server, from its wheel."""
    # Not in pytest's folder: the server runs as another user, and every pytest session locks that one out again.
    with TemporaryDirectory(prefix="postgres-") as folder, postgres(Path(folder)) as server:
        _hurry(server.get_uri())
        yield server.get_uri()


def _hurry(server: str) -> None:
    """Have it wait for no disk: what is in it need not outlive the machine, and half of the time went into that."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """SQLAlchemy's URL of a fresh database on that server."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = make_url(postgres_server).set(drivername="postgresql+psycopg", database=name)
    yield url.render_as_string(hide_password=False)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy's URL of a fresh database file."""
    return f"sqlite:///{tmp_path / 'test.db'}"
