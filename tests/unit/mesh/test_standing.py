"""How a process says that it stands, and what it finds of what it stands on."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from devteam.mesh.address import without_secrets
from devteam.mesh.database_footing import place_of
from devteam.mesh.standing import Dependency, DependencyState, Footing, OwnStanding, traces_go
from tests.fakes.clock import FakeClock

CANARY = "s3cret-canary"


class Looker:
    """Finds what a test says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.trouble = ""
        self.looks = 0

    async def look(self) -> str:
        self.looks += 1
        return self.trouble


async def test_what_nobody_has_looked_at_is_not_known(clock: FakeClock) -> None:
    assert await Footing("registry", "http://r:7401", clock).dependency() == Dependency(
        name="registry", address="http://r:7401", state=DependencyState.UNKNOWN
    )


async def test_a_state_holds_since_it_changed(clock: FakeClock) -> None:
    """Also when what is wrong with it is another thing than before."""
    footing = Footing("registry", "r", clock)
    footing.found()
    began = clock.now()
    clock.advance(60)
    footing.found()
    assert (await footing.dependency()).since == began
    footing.found("it does not answer")
    clock.advance(60)
    footing.found("it is not there")
    dependency = await footing.dependency()
    assert (dependency.state, dependency.detail) == (DependencyState.AWAY, "it is not there")
    assert dependency.since == began + timedelta(seconds=60)
    footing.found()
    assert (await footing.dependency()).detail == ""


async def test_however_many_ask_it_is_looked_at_rarely(clock: FakeClock) -> None:
    """What is well for five seconds, what is away for one."""
    looker = Looker()
    footing = Footing("database", "sqlite", clock, looker.look)
    await asyncio.gather(*(footing.dependency() for _ in range(100)))
    assert looker.looks == 1
    clock.advance(4.9)
    await footing.dependency()
    assert looker.looks == 1
    looker.trouble = "it is gone"
    clock.advance(0.1)
    assert (await footing.dependency()).detail == "it is gone"
    clock.advance(1.0)
    await footing.dependency()
    assert looker.looks == 3


async def test_a_look_that_takes_too_long_is_a_finding(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devteam.mesh.standing._PATIENCE", 0.01)

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    dependency = await Footing("temporal", "t", clock, never).dependency()
    assert dependency.state is DependencyState.AWAY
    assert dependency.detail.startswith("it gave no answer within 0.01 s")


async def test_a_process_says_all_of_itself(clock: FakeClock) -> None:
    footings = [Footing("registry", "r", clock)]
    own = OwnStanding("router", clock, lambda: footings, instance="router-1", traces="otlp")
    clock.advance(30)
    footings.append(Footing("router", "another", clock))
    standing = await own.standing()
    assert (standing.name, standing.instance, standing.traces) == ("router", "router-1", "otlp")
    assert standing.now - standing.started_at == timedelta(seconds=30)
    assert [dependency.address for dependency in standing.dependencies] == ["r", "another"]
    assert standing.version
    assert standing.python_version.startswith("3.")


@pytest.mark.parametrize(
    ("environ", "file", "expected"),
    [
        ({}, None, "off"),
        ({}, Path("traces"), "store"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, Path("traces"), "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, None, "otlp"),
    ],
)
def test_where_traces_go(environ: dict[str, str], file: Path | None, expected: str) -> None:
    assert traces_go(file, environ) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory", "memory"),
        ("sqlite:///registry.db", "sqlite registry.db"),
        ("sqlite:////home/ada/.devteam/planner.db", "sqlite planner.db"),
        ("sqlite://", "sqlite"),
        (f"postgresql+psycopg://devteam:{CANARY}@db.example:5432/devteam", "postgresql db.example:5432/devteam"),
        (f"postgresql+psycopg://db.example/devteam?password={CANARY}", "postgresql db.example/devteam"),
        (f"postgresql+psycopg://u:{CANARY}@/devteam", "postgresql localhost/devteam"),
    ],
)
def test_a_database_is_shown_without_its_secrets(url: str, expected: str) -> None:
    assert place_of(url) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:7401", "http://127.0.0.1:7401"),
        (f"https://me:{CANARY}@mesh.example:7401/path?key={CANARY}", "https://mesh.example:7401"),
        (f"http://mesh.example:7401?key={CANARY}", "http://mesh.example:7401"),
        ("dns:///mesh:7400", "dns:///mesh:7400"),
        ("mesh:7400", "mesh:7400"),
        (f"me:{CANARY}@mesh:7400", "mesh:7400"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, expected: str) -> None:
    assert without_secrets(address) == expected
