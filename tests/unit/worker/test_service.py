"""A worker that systemd keeps running."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from devteam_worker.cli import app
from devteam_worker.presence import Presence, Presences, this_process
from devteam_worker.systemd_unit import Service, this_command
from typer.testing import CliRunner, Result

HERE = Service("w1", ("/opt/bin/devteam-worker",), Path("/var/lib/devteam"), Path("/etc/worker.yaml"), 25.0)

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$0.told"
case "$*" in *"$FAILS_AT"*) [ -n "$FAILS_AT" ] && { echo "Failed to connect to bus" >&2; exit 1; };; esac
exit 0
"""


class Machine:
    """A machine with a systemctl that writes down what it is told, or with none."""

    def __init__(self, folder: Path) -> None:
        self.data, self.bin, self.config = folder / "data", folder / "bin", folder / "config"
        self.unit = self.config / "systemd" / "user" / "devteam-worker@w1.service"
        self.bin.mkdir()

    def has_systemctl(self) -> None:
        (self.bin / "systemctl").write_text(SYSTEMCTL)
        (self.bin / "systemctl").chmod(0o755)

    def told(self) -> list[str]:
        return (self.bin / "systemctl.told").read_text().splitlines()

    def service(self, *arguments: str, **environ: str) -> Result:
        strange = {
            name: None for name in os.environ if name.startswith(("DEVTEAM_", "ANTHROPIC_", "OLLAMA_", "OPENAI_"))
        }
        env = {**strange, "PATH": str(self.bin), "XDG_CONFIG_HOME": str(self.config), "DEVTEAM_DATA": str(self.data)}
        return CliRunner().invoke(app, ["service", *arguments, "--id", "w1"], env={**env, **environ})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_unit_starts_the_worker_again_and_waits_for_its_drain() -> None:
    lines = HERE.text().splitlines()
    assert (
        "ExecStart=/opt/bin/devteam-worker start --id w1 --data /var/lib/devteam --config /etc/worker.yaml"
    ) in lines
    assert {
        "Restart=always",
        "RestartSec=5",
        "TimeoutStopSec=40",
        "KillSignal=SIGTERM",
        "EnvironmentFile=-/var/lib/devteam/worker.env",
        "NoNewPrivileges=yes",
        "WantedBy=default.target",
    } <= set(lines)


def test_a_service_of_the_machine_lies_where_root_keeps_them() -> None:
    service = replace(HERE, system=True, run_as="worker", config=None)
    assert str(service.path) == "/etc/systemd/system/devteam-worker@w1.service"
    assert service.systemctl("start") == ("systemctl", "start")
    assert {"User=worker", "WantedBy=multi-user.target"} <= set(service.text().splitlines())
    assert "--config" not in service.text()


def test_what_means_something_to_systemd_is_escaped() -> None:
    service = replace(HERE, config=Path('/a b/$c/100%/"d"'))
    assert '--config "/a b/$$c/100%%/\\"d\\""' in service.text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is what knows")
@pytest.mark.parametrize("system", [False, True])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, system: bool) -> None:
    config = tmp_path / "a worker's 100%.yaml"
    service = replace(HERE, command=this_command(), data=tmp_path, config=config, system=system)
    (tmp_path / service.unit).write_text(service.text())
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / service.unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if service.unit in line]) == (0, [])


def test_install_writes_the_unit_and_starts_it(machine: Machine) -> None:
    machine.has_systemctl()
    installed = machine.service("install", ANTHROPIC_API_KEY="canary", OPENAI_API_KEY="canary")
    assert (installed.exit_code, installed.stdout) == (0, f"{machine.unit} is written\n")
    assert machine.told() == ["--user daemon-reload", "--user enable --now devteam-worker@w1.service"]
    assert machine.unit.read_text() == machine.service("print").stdout
    assert f"put ANTHROPIC_API_KEY, OPENAI_API_KEY into {machine.data / 'worker.env'}" in installed.stderr
    assert "canary" not in installed.stderr + machine.unit.read_text()


def test_uninstall_stops_it_and_removes_the_unit(machine: Machine) -> None:
    machine.has_systemctl()
    machine.service("install")
    gone = machine.service("uninstall")
    assert (gone.exit_code, gone.stdout) == (0, f"{machine.unit} is gone\n")
    assert machine.told()[2:] == ["--user disable --now devteam-worker@w1.service", "--user daemon-reload"]
    assert not machine.unit.exists()
    again = machine.service("uninstall")
    assert (again.exit_code, again.stderr) == (1, f"error: {machine.unit} is not there\n")


def test_without_systemctl_it_says_what_to_run(machine: Machine) -> None:
    installed = machine.service("install")
    assert installed.exit_code == 0
    assert "systemctl --user daemon-reload && systemctl --user enable --now devteam-worker@w1" in installed.stderr
    assert machine.unit.exists()


def test_what_systemd_refuses_is_said(machine: Machine) -> None:
    machine.has_systemctl()
    refused = machine.service("install", FAILS_AT="enable")
    assert refused.exit_code == 1
    assert (
        "error: systemctl refused (Failed to connect to bus); once that is mended: systemctl --user" in refused.stderr
    )


def test_keys_that_others_may_read_are_pointed_out(machine: Machine) -> None:
    machine.data.mkdir()
    secrets = machine.data / "worker.env"
    secrets.write_text("ANTHROPIC_API_KEY=canary\n")
    secrets.chmod(0o644)
    assert f"chmod 600 {secrets}" in machine.service("install").stderr
    secrets.chmod(0o600)
    assert "chmod" not in machine.service("install").stderr


def test_a_worker_that_runs_by_hand_is_to_be_stopped_first(machine: Machine) -> None:
    pid, began = this_process()
    presence = Presence("w1", pid, began, 0.0, ("devteam-worker", "start"), "", "http://127.0.0.1:7400", 4, 25.0)
    Presences(machine.data / "workers").write(presence)
    refused = machine.service("install")
    assert (refused.exit_code, machine.unit.exists()) == (1, False)
    expected = f"error: worker w1 runs already, as process {pid}: stop it first: devteam-worker stop --id w1\n"
    assert refused.stderr == expected
    assert machine.service("print").exit_code == 0


def test_a_service_is_removed_whatever_its_file_says(machine: Machine) -> None:
    machine.has_systemctl()
    machine.service("install")
    (machine.data / "worker.yaml").write_text("worker: {concurency: 4}\n")
    gone = machine.service("uninstall")
    assert (gone.exit_code, machine.unit.exists()) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--run-as", "worker"), "--run-as: is for --system: your own service runs as you"),
        (("--run-as", "worker", "--system"), "--run-as: needs --data: a folder that worker may write"),
    ],
)
def test_another_user_has_a_service_of_the_machine_and_a_folder(
    machine: Machine, arguments: tuple[str, ...], said: str
) -> None:
    refused = machine.service("print", *arguments)
    assert (refused.exit_code, refused.stdout) == (78, "")
    assert said in refused.stderr
    given = machine.service("print", "--run-as", "worker", "--system", "--data", str(machine.data))
    assert "User=worker" in given.stdout


def test_wrong_settings_are_not_installed(machine: Machine) -> None:
    machine.data.mkdir()
    (machine.data / "worker.yaml").write_text("worker: {concurency: 4}\n")
    refused = machine.service("install")
    assert (refused.exit_code, machine.unit.exists()) == (78, False)
    assert "did you mean concurrency" in refused.stderr
