"""deploy/compose.yaml: what it says is what compose, the services and the files beside it understand."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from devteam_cli.container import SERVICES, command_of
from devteam_cli.temporal_server import _DYNAMIC_CONFIG
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from ruamel.yaml import YAML

from devteam.mesh.access.key import id_of
from scripts.locked import ROOT
from tests.docs.blocks import blocks
from tests.fakes.compose_file import TOLD, compose_file
from tests.fakes.deployed import (
    addresses,
    misunderstood,
    port_of,
    settings_of,
    unknown_variables,
    worker_settings,
)
from tests.unit.deploy.compose_schema import SCHEMA

FOLDER = ROOT / "deploy"
FILE = compose_file(FOLDER / "compose.yaml", TOLD)
PARTS: dict[str, Any] = FILE["services"]
OURS = [name for name, part in PARTS.items() if part["image"].startswith("devteam-orchestrator:")]
# What an image of somebody else's writes to its own file system could not be tried here.
WRITES = {"temporal", "temporal-schema", "temporal-namespace", "temporal-ui"}
READ_BY_NOBODY_ELSE = stat.S_IRUSR | stat.S_IWUSR


def yaml(path: str) -> Any:
    return YAML(typ="safe").load(FOLDER / path)


def module(part: Any) -> str:
    return command_of(part["command"])[0]


def networks(part: str) -> set[str]:
    return set(PARTS[part]["networks"])


class TestShape:
    def test_compose_understands_it(self) -> None:
        assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(FILE)] == []

    def test_the_schema_finds_mistakes(self) -> None:
        wrong = {"services": {"a": {"image": "a:latest", "comand": ["x"]}, "b": {"image": "b"}}}
        found = {error.message[:40] for error in Draft202012Validator(SCHEMA).iter_errors(wrong)}
        assert len(found) == 2

    def test_what_has_to_be_made_first_is_said(self) -> None:
        with pytest.raises(LookupError, match=r"run deploy/compose/secrets\.sh first"):
            compose_file(FOLDER / "compose.yaml", {})

    def test_the_page_asks_nothing_of_compose_before_that(self) -> None:
        [commands] = [block.text for block in blocks("docs/deploy.md") if "enrol.sh" in block.text]
        assert "docker compose" not in commands.partition("deploy/compose/secrets.sh")[0]
        # And secrets.sh asks for the image.
        assert f"-t {PARTS['registry']['image']} " in commands.partition("deploy/compose/secrets.sh")[0]

    def test_nothing_is_called_latest(self) -> None:
        assert [part["image"] for part in PARTS.values() if re.search(r":latest\b|:[a-z]+$", part["image"])] == []

    @pytest.mark.parametrize("name", PARTS)
    def test_whom_it_names_there_is(self, name: str) -> None:
        part = PARTS[name]
        assert set(part.get("depends_on", {})) <= set(PARTS)
        assert set(part["networks"]) <= set(FILE["networks"])
        assert set(part.get("secrets", [])) <= set(FILE["secrets"])
        for volume in part.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in FILE["volumes"] if not source.startswith(".") else (FOLDER / source).is_file(), volume

    @pytest.mark.parametrize("name", PARTS)
    def test_who_is_waited_for_can_be_waited_for(self, name: str) -> None:
        for other, how in PARTS[name].get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in PARTS[other], other
            if how["condition"] == "service_completed_successfully":
                assert PARTS[other]["restart"] != "unless-stopped", other
            assert not set(PARTS[other].get("profiles", [])) - set(PARTS[name].get("profiles", [])), other

    @pytest.mark.skipif(
        not shutil.which("docker") or bool(subprocess.run(("docker", "compose", "version"), check=False).returncode),
        reason="there is no docker compose on this machine",
    )
    def test_docker_compose_takes_it(self) -> None:
        done = subprocess.run(
            ("docker", "compose", "--file", str(FOLDER / "compose.yaml"), "config", "--quiet"),
            check=False, capture_output=True, text=True, env={**os.environ, **TOLD},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


class TestConfinement:
    @pytest.mark.parametrize("name", PARTS)
    def test_it_has_no_rights_that_it_does_not_need(self, name: str) -> None:
        part = PARTS[name]
        assert part["cap_drop"] == ["ALL"]
        assert part["security_opt"] == ["no-new-privileges:true"]
        assert part.get("read_only", False) is (name not in WRITES)
        assert part["deploy"]["resources"]["limits"]["memory"]
        assert ("cap_add" in part) is (name == "postgres")

    @pytest.mark.parametrize("name", [*OURS, "gateway", "grafana"])
    def test_it_can_read_secrets_of_whoever_made_them(self, name: str) -> None:
        assert PARTS[name]["user"] == "1000:1000"

    def test_only_the_door_is_open_to_the_world(self) -> None:
        ports = {name: part["ports"] for name, part in PARTS.items() if "ports" in part}
        assert {name for name, said in ports.items() if not said[0].startswith("127.0.0.1:")} == {"gateway"}

    @pytest.mark.parametrize("name", ["worker-sim", "worker", "ui", "ctl"])
    def test_workers_and_onlookers_reach_the_door_alone(self, name: str) -> None:
        reached = {other for other in PARTS if networks(other) & networks(name)} - {"worker-sim", "worker", "ui", "ctl"}
        assert reached == {"gateway"}
        assert not {"mesh.key", "server.key", "pgpass"} & set(PARTS[name]["secrets"])

    def test_databases_are_reached_by_whoever_needs_them(self) -> None:
        asked = {name for name in PARTS if "data" in networks(name)}
        temporal = {"temporal", "temporal-schema", "temporal-namespace", "temporal-ui"}
        assert asked == {"postgres", "registry", "planner", "migrate", *temporal}
        assert FILE["networks"]["data"]["internal"]
        assert FILE["networks"]["mesh"]["internal"]


class TestProcesses:
    @pytest.mark.parametrize("name", OURS)
    def test_its_command_exists(self, name: str) -> None:
        assert misunderstood(PARTS[name]["command"]) == ""

    @pytest.mark.parametrize("name", [name for name in OURS if "healthcheck" in PARTS[name]])
    def test_its_health_check_exists(self, name: str) -> None:
        words = PARTS[name]["healthcheck"]["test"][1:]
        assert misunderstood(words) == ""
        if words[1] == "health":
            url, service = words[2:]
            assert service == f"devteam.v1.{name.capitalize()}Service"
            assert port_of(url) == port_of(f":{_port(name)}")

    @pytest.mark.parametrize("name", OURS)
    def test_every_variable_is_read_by_somebody(self, name: str) -> None:
        assert unknown_variables(module(PARTS[name]), PARTS[name].get("environment", {})) == []

    @pytest.mark.parametrize("name", SERVICES)
    def test_the_service_takes_its_settings(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = settings_of(name, PARTS[name]["environment"], monkeypatch)
        assert settings.keys
        assert not settings.insecure
        files = [settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file, settings.mesh_key_file]
        assert [str(file) for file in files] == [
            f"/run/secrets/{secret}" for secret in ("server.pem", "server.key", "ca.pem", "mesh.key")
        ]
        assert {Path(str(file)).name for file in files} <= set(PARTS[name]["secrets"])

    @pytest.mark.parametrize("name", ["worker-sim", "worker"])
    def test_the_worker_takes_its_settings(self, name: str) -> None:
        part = PARTS[name]
        told = worker_settings(part["environment"])
        assert told.api_url == "https://gateway:8443"
        assert _seconds(part["stop_grace_period"]) >= told.drain_deadline_ms / 1000 + 15

    def test_two_workers_are_two(self) -> None:
        ids = [PARTS[name]["environment"]["DEVTEAM_WORKER_ID"] for name in ("worker-sim", "worker")]
        assert len(set(ids)) == 2

    def test_everybody_calls_where_somebody_listens(self) -> None:
        called = [
            (name, address)
            for name in OURS
            for variable, value in PARTS[name].get("environment", {}).items()
            if re.search(r"(_ADDRESS|_URL|_ENDPOINT)$", variable) and "postgresql" not in value
            for address in addresses(value)
        ]
        assert len(called) >= 8
        for name, address in called:
            host, port = re.sub(r"^https?://", "", address).split(":")
            assert networks(host) & networks(name), (name, address)
            listens = {"gateway": 8443, "otel-collector": 4317, "temporal": 7233}
            assert int(port) == (_port(host) if host in SERVICES else listens[host])

    def test_the_door_is_told_where_the_services_are(self) -> None:
        said = dict(word[2:].split("=") for word in PARTS["gateway-config"]["command"] if word.startswith("--"))
        for name in SERVICES:
            assert said[name] == f"{name}:{_port(name)}"
        assert said["listen"].endswith(":8443")
        secrets = {Path(said[name]).name for name in ("cert", "key", "upstream-ca")}
        assert secrets <= set(PARTS["gateway"]["secrets"])
        mounts = [PARTS[name]["volumes"] for name in ("gateway-config", "gateway")]
        assert mounts == [["envoy:/data"], [f"envoy:{PARTS['gateway']['working_dir']}"]]


class TestFilesBeside:
    def test_prometheus_asks_where_services_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        jobs = {
            job["job_name"]: job["static_configs"][0]["targets"]
            for job in yaml("compose/prometheus.yaml")["scrape_configs"]
        }
        for name in SERVICES:
            settings = settings_of(name, PARTS[name]["environment"], monkeypatch)
            assert jobs[f"devteam-{name}"] == [f"{name}:{settings.metrics_port}"]
            assert networks(name) & networks("prometheus")

    def test_its_jobs_are_those_of_the_file_for_everybody(self) -> None:
        known = {job["job_name"]: job["scrape_interval"] for job in yaml("prometheus/scrape.yaml")["scrape_configs"]}
        own = yaml("compose/prometheus.yaml")
        for job in own["scrape_configs"]:
            assert job.get("scrape_interval", own["global"]["scrape_interval"]) == known[job["job_name"]]

    def test_grafana_finds_prometheus_and_the_dashboard(self) -> None:
        [source] = yaml("compose/grafana/datasources.yaml")["datasources"]
        assert source["url"] == "http://prometheus:9090"
        [provider] = yaml("compose/grafana/dashboards.yaml")["providers"]
        [mount] = [volume for volume in PARTS["grafana"]["volumes"] if "devteam.json" in volume]
        assert mount.split(":")[1].startswith(provider["options"]["path"])

    def test_the_collector_takes_what_services_send(self) -> None:
        collector = yaml("compose/otel-collector.yaml")
        assert port_of(collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]) == 4317
        for pipeline in collector["service"]["pipelines"].values():
            for kind, names in pipeline.items():
                assert set(names) <= set(collector[kind])

    def test_temporal_is_told_what_ours_is_told(self) -> None:
        """The same words that `devteam up` gives to its development server."""
        said = {name: entry["value"] for name, [entry] in yaml("compose/temporal.yaml").items()}
        ours = dict(line.split("=") for line in _DYNAMIC_CONFIG)
        assert {name: json.loads(value) for name, value in ours.items()} == said

    @pytest.mark.parametrize("script", sorted(path.name for path in (FOLDER / "compose").glob("*.sh")))
    def test_the_shell_understands_its_scripts(self, script: str) -> None:
        path = FOLDER / "compose" / script
        subprocess.run(("sh", "-n", str(path)), check=True)
        assert path.stat().st_mode & stat.S_IXUSR
        assert "set -eu" in path.read_text(encoding="utf-8")


class TestSecrets:
    """deploy/compose/secrets.sh, run in a copy of the folder."""

    def made(self, folder: Path) -> Path:
        copy = folder / "deploy"
        shutil.copytree(FOLDER / "compose", copy / "compose", ignore=shutil.ignore_patterns("secrets"))
        subprocess.run(
            (str(copy / "compose" / "secrets.sh"), "mesh.example.com"),
            check=True, capture_output=True, env={**os.environ, "DEVTEAM": f"{sys.executable} -m devteam_cli"},
        )  # fmt: skip
        return copy

    def test_all_that_the_file_names_is_there_and_nobody_else_can_read_it(self, tmp_path: Path) -> None:
        copy = self.made(tmp_path)
        for secret in FILE["secrets"].values():
            path = copy / secret["file"]
            assert path.is_file(), secret
            if path.suffix != ".pem":
                assert stat.S_IMODE(path.stat().st_mode) == READ_BY_NOBODY_ELSE, path
        assert stat.S_IMODE((copy / ".env").stat().st_mode) == READ_BY_NOBODY_ELSE
        assert id_of((copy / "compose/secrets/mesh.key").read_text(encoding="utf-8").strip())

    def test_the_file_has_all_its_variables(self, tmp_path: Path) -> None:
        copy = self.made(tmp_path)
        lines = (copy / ".env").read_text(encoding="utf-8").splitlines()
        environ = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        assert set(environ) == set(TOLD)
        compose_file(FOLDER / "compose.yaml", environ)
        passwords = [environ[name] for name in environ if name.endswith("PASSWORD")]
        assert len(set(passwords)) == 3
        assert all(re.fullmatch("[A-Za-z0-9]{32}", password) for password in passwords)
        assert environ["DEVTEAM_DB_PASSWORD"] in (copy / "compose/secrets/pgpass").read_text(encoding="utf-8")

    def test_what_is_there_is_not_replaced(self, tmp_path: Path) -> None:
        copy = self.made(tmp_path)
        again = subprocess.run((str(copy / "compose/secrets.sh"),), check=False, capture_output=True, text=True)
        assert (again.returncode, "already" in again.stderr) == (1, True)

    def test_none_of_it_can_be_committed(self) -> None:
        paths = ["deploy/.env", *(f"deploy/{secret['file']}" for secret in FILE["secrets"].values())]
        ignored = subprocess.run(
            ("git", "check-ignore", *paths), check=False, capture_output=True, text=True, cwd=ROOT
        ).stdout.splitlines()
        assert ignored == paths


def _port(service: str) -> int:
    from tests.fakes.deployed import SETTINGS

    return int(SETTINGS[service].model_fields["port"].default)


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
