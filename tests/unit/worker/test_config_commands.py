"""The config commands, as their user sees them."""

import json
import os
from pathlib import Path

import pytest
from devteam_worker.cli import app
from typer.testing import CliRunner, Result


def config(data: Path, *arguments: str, **environ: str) -> Result:
    """A command of a machine on which no worker runs."""
    foreign = {name: None for name in os.environ if name.startswith(("DEVTEAM_", "ANTHROPIC_", "OLLAMA_"))}
    return CliRunner().invoke(app, ["config", *arguments], env={**foreign, "DEVTEAM_DATA": str(data), **environ})


def test_show_lists_settings_and_on_demand_their_origins(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text("worker: {concurrency: 6}\n")
    rows = dict(line.split(maxsplit=1) for line in config(tmp_path, "show").stdout.splitlines())
    assert (rows["concurrency"], rows["provider"], rows["apiKey"]) == ("6", "auto", "-")
    shown = config(tmp_path, "show", "--origin", "-o", "json", DEVTEAM_API_KEY="canary", DEVTEAM_PROVIDER="sim")
    said = json.loads(shown.stdout)
    assert said["concurrency"] == {"value": 6, "origin": f"file {tmp_path / 'worker.yaml'}"}
    assert said["provider"] == {"value": "sim", "origin": "environment variable DEVTEAM_PROVIDER"}
    assert said["apiKey"] == {"value": "set", "origin": "environment variable DEVTEAM_API_KEY"}
    assert "canary" not in shown.output


def test_get_says_one_setting_or_a_section(tmp_path: Path) -> None:
    assert config(tmp_path, "get", "concurrency", DEVTEAM_CONCURRENCY="3").stdout == "3\n"
    assert config(tmp_path, "get", "tools.allow").stdout == '["*"]\n'
    section = config(tmp_path, "get", "sim", "-o", "json").stdout
    assert json.loads(section) == {"sim.tokensPerSecond": 50.0, "sim.firstTokenMs": 100.0}


def test_get_of_an_unknown_key_fails_with_what_was_meant(tmp_path: Path) -> None:
    refused = config(tmp_path, "get", "concurency")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "error: no setting is called 'concurency'; did you mean concurrency?\n"


@pytest.mark.parametrize("command", [("show",), ("get", "concurrency")])
def test_a_wrong_file_is_refused_as_a_worker_would(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "worker.yaml").write_text("worker: {concurency: 6}\n")
    refused = config(tmp_path, *command)
    assert (refused.exit_code, refused.stdout) == (78, "")
    assert refused.stderr == "error: worker.concurency: unknown key; did you mean concurrency?\n"


def test_set_makes_the_workers_own_folder_and_no_other(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    assert config(data, "set", "concurrency", "3").exit_code == 0
    assert data.stat().st_mode & 0o777 == 0o700
    refused = config(data, "set", "--config", str(tmp_path / "nope" / "x.yaml"), "concurrency", "3")
    assert (refused.exit_code, (tmp_path / "nope").exists()) == (78, False)


def test_set_repeats_no_secret(tmp_path: Path) -> None:
    begun = config(tmp_path, "set", "mcpServers.clock", "{command: uvx, env: {OTHER: canary}}")
    assert begun.output == f"{tmp_path / 'worker.yaml'}: mcpServers.clock is set\n"
    done = config(tmp_path, "set", "mcpServers.clock.env.TOKEN", "canary")
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'worker.yaml'}: mcpServers.clock.env.TOKEN is set\n")
    assert "canary" in (tmp_path / "worker.yaml").read_text()


def test_set_says_of_a_timing_that_the_mesh_decides(tmp_path: Path) -> None:
    done = config(tmp_path, "set", "heartbeat.intervalMs", "15000")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'worker.yaml'}: heartbeat.intervalMs is 15000\n")
    assert done.stderr.startswith(
        "the mesh's timings hold: its Registry has them from DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S"
    )


def test_the_example_of_a_key_is_one_that_counts(tmp_path: Path) -> None:
    helped = config(tmp_path, "set", "--help").stdout
    assert "ollama.keepAlive" in helped
    assert "heartbeat.intervalMs" not in helped
