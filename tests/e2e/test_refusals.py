"""A process that cannot do its work says why, in words that help, and with an exit code that a supervisor knows."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.programs import PATIENCE, environment
from tests.e2e.services import variables

pytestmark = pytest.mark.e2e

CONFIG, UNAVAILABLE = 78, 69


def refused(module: str, *arguments: str, env: dict[str, str]) -> tuple[int, list[str]]:
    """The exit code, and the lines on stderr that are no log lines."""
    ended = subprocess.run(
        (sys.executable, "-m", module, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=env,
        check=False,
    )
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.returncode, [line for line in ended.stderr.splitlines() if not line.startswith("{")]


def test_a_registry_names_every_setting_that_is_wrong() -> None:
    env = variables(
        "registry",
        99_999,
        heartbeat_interval_s="never",
        lost_after_s="50",
        database_url="mysql://user:secret@host/db",
        router_addresses="[",
        host="0.0.0.0",
        log_level="loud",
    )
    code, lines = refused("devteam_registry", env=env)
    assert code == CONFIG
    assert sorted(line.split(": ")[1].removeprefix("DEVTEAM_REGISTRY_") for line in lines) == [
        *("DATABASE_URL", "HEARTBEAT_INTERVAL_S", "INSECURE", "LOG_LEVEL"),
        *("LOST_AFTER_S", "PORT", "ROUTER_ADDRESSES"),
    ]
    assert not any("secret" in line for line in lines)
    assert (
        "error: DEVTEAM_REGISTRY_LOST_AFTER_S: is 50; must be more than DEVTEAM_REGISTRY_UNHEALTHY_AFTER_S, which is 60"
    ) in lines


def test_a_router_names_every_setting_that_is_wrong() -> None:
    env = variables("router", 7402, strategy="random", registry_address="http://", preferences="opus")
    code, lines = refused("devteam_router", env=env)
    assert code == CONFIG
    assert lines == [
        "error: DEVTEAM_ROUTER_REGISTRY_ADDRESS: 'http://' is not of the form http://host:port",
        "error: DEVTEAM_ROUTER_STRATEGY: must be 'round-robin', 'least-loaded', 'capability-match' or 'locality'",
        "error: DEVTEAM_ROUTER_PREFERENCES: is not valid JSON",
    ]


def test_a_planner_names_every_setting_that_is_wrong() -> None:
    env = variables("planner", 7403, router_address="router", temporal_address="http://temporal", watch_poll_s="0")
    code, lines = refused("devteam_planner", env=env)
    assert code == CONFIG
    assert lines == [
        "error: DEVTEAM_PLANNER_ROUTER_ADDRESS: 'router' is not of the form http://host:port",
        "error: DEVTEAM_PLANNER_TEMPORAL_ADDRESS: 'http://temporal' is not of the form host:port",
        "error: DEVTEAM_PLANNER_WATCH_POLL_S: must be greater than 0",
    ]


def test_a_worker_names_every_setting_that_is_wrong() -> None:
    env = environment(DEVTEAM_API_URL="http://", DEVTEAM_CONCURRENCY="many", DEVTEAM_PROVIDER="oracle")
    code, lines = refused("devteam_worker", "start", env=env)
    assert code == CONFIG
    assert [line.split(": ")[1] for line in lines] == ["DEVTEAM_API_URL", "DEVTEAM_CONCURRENCY", "DEVTEAM_PROVIDER"]


@pytest.mark.parametrize("name", ["registry", "router", "planner"])
def test_a_taken_port_is_named(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = refused(f"devteam_{name}", env=variables(name, port))
    assert code == CONFIG
    # gRPC's own line may stand before it.
    assert lines[-1] == (
        f"error: cannot listen on 127.0.0.1:{port}: the port is taken; stop what uses it or choose another port"
    )


@pytest.mark.parametrize("name", ["registry", "planner"])
def test_a_database_that_cannot_be_opened_is_named(name: str, tmp_path: Path) -> None:
    no_database = tmp_path / "text.db"
    no_database.write_text("this is no database, and was never meant to be one" * 40)
    for url, cause in (
        (f"sqlite:///{tmp_path}/missing/test.db", "unable to open database file"),
        (f"sqlite:///{no_database}", "file is not a database"),
        ("postgresql+psycopg://user:secret@127.0.0.1:1/mesh", "onnection"),
    ):
        code, (line,) = refused(f"devteam_{name}", env=variables(name, 0, database_url=url))
        assert code == UNAVAILABLE
        assert line.startswith("error: cannot open the database ")
        assert cause in line
        assert "secret" not in line


def test_a_second_mesh_at_a_port_leaves_the_first_one_alone(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ("--port", str(port), "--data", str(tmp_path), "--no-ui", "--metrics-port", "0")
        code, lines = refused("devteam_cli", "up", *options, env=environment())
    said = f"error: cannot start the mesh on 127.0.0.1:{port}: address already in use; stop what uses the port"
    assert (code, lines) == (2, [f"{said} or choose another with --port"])
    # Its local worker would have registered there, under the name that the other mesh's worker has.
    assert not (tmp_path / "local.log").exists()
