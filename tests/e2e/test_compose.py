"""A mesh as deploy/compose.yaml tells its parts to be: TLS and keys everywhere, Envoy as the only way in."""

from pathlib import Path

import pytest
from devteam_cli.container import SERVICES
from devteam_cli.temporal_server import temporal_dev_server

from tests.e2e.composed import composed, from_file, key_of
from tests.e2e.programs import devteam

pytestmark = pytest.mark.e2e

TASK = ("task", "run", "--model", "sim", "Say hello")


async def test_a_task_runs_on_it_for_whoever_has_a_key(tmp_path: Path) -> None:
    with composed(tmp_path) as parts:
        log = tmp_path / "temporal.log"
        async with temporal_dev_server(tmp_path, port=parts.ports["temporal"], ui_port=None, log=log):
            migrated = parts.run("migrate")
            assert migrated.returncode == 0, migrated.stderr
            for name in SERVICES:
                parts.start(name)
            for name in SERVICES:
                parts.healthy(name)
            parts.envoy()

            ctl = from_file(parts.secrets / "ctl.env")
            make = ("devteam", "keys", "create")
            worker_key = key_of(parts.run("ctl", *make, "compose-workers", "--role", "worker", **ctl))
            client_key = key_of(parts.run("ctl", *make, "me", "--role", "client", "--tenant", "default", **ctl))
            data = str(tmp_path / "machine")
            worker = parts.start("worker-sim", DEVTEAM_API_KEY=worker_key, DEVTEAM_DATA=data)
            worker.line("^Ready$")
            ready = parts.run("worker-sim", "devteam-worker", "status", "--ready", DEVTEAM_DATA=data)
            assert ready.returncode == 0, ready.stderr

            told = parts.variables("ctl")
            done = devteam(*TASK, env={**told, "DEVTEAM_API_KEY": client_key})
            assert (done.returncode, bool(done.stdout.strip())) == (0, True), done.stderr
            refused = devteam(*TASK, env=told)
            assert refused.returncode != 0
            assert "key" in refused.stderr
            assert worker.stop() == 0
