"""What `config show` and `config get` say."""

from pathlib import Path

import pytest
from devteam_worker.hardware import Hardware
from devteam_worker.settings_view import Shown, only, shown

from devteam.mesh.errors import InvalidInput, NotFound

MACHINE = Hardware(cpu_cores=8, ram_gb=64.0, gpu=True, gpu_model="RTX 5080", host="desk")
FILE = """\
worker:
  concurrency: 6
  resources: {ramGB: 24}
  labels: {team: search}
  heartbeat: {endpoint: "https://me:canary@h.example:8443/api", intervalMs: 15000}
  mcpServers:
    far: {url: "http://h/mcp?key=canary", headers: {Authorization: "Bearer canary"}}
    near: {command: uvx, args: [--token, canary], env: {TOKEN: canary, EMPTY: ""}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "worker.yaml"
    path.write_text(FILE)
    return path


def by_key(path: Path | None, **environ: str) -> dict[str, Shown]:
    return {item.key: item for item in shown(path, environ, MACHINE)}


def test_each_setting_says_where_it_comes_from(file: Path) -> None:
    said = by_key(file, DEVTEAM_WEIGHT="2", DEVTEAM_LABELS="tier=spot", DEVTEAM_CONCURRENCY=" ", DEVTEAM_QUEUE="a,b")
    of_file = f"file {file}"
    assert said["weight"] == Shown("weight", 2.0, "environment variable DEVTEAM_WEIGHT")
    assert said["concurrency"] == Shown("concurrency", 6, of_file)
    assert said["labels.team"] == Shown("labels.team", "search", of_file)
    assert said["labels.tier"] == Shown("labels.tier", "spot", "environment variable DEVTEAM_LABELS")
    assert said["queues"].origin == "environment variable DEVTEAM_QUEUE"
    assert said["apiUrl"] == Shown("apiUrl", "https://h.example:8443", f"{of_file} (heartbeat.endpoint)")
    assert said["maxTurns"] == Shown("maxTurns", 16, "default")
    assert said["id"].origin == "detected"


def test_what_a_file_only_counts_on_is_not_shown_as_in_force(file: Path) -> None:
    said = by_key(file)
    origin = f"file {file} (the mesh's holds instead)"
    assert said["heartbeat.intervalMs"] == Shown("heartbeat.intervalMs", 15_000, origin)
    assert said["heartbeat.endpoint"].origin == f"file {file}"
    assert said["heartbeat.unhealthyAfterMs"].origin == "default"


def test_what_nobody_declared_is_detected(file: Path) -> None:
    said = by_key(file)
    assert said["resources.ramGB"] == Shown("resources.ramGB", 24.0, f"file {file}")
    assert said["resources.gpu"] == Shown("resources.gpu", True, "detected")
    assert said["resources.cpuCores"] == Shown("resources.cpuCores", 8, "detected")
    assert said["location.host"] == Shown("location.host", "desk", "detected")
    assert said["location.zone"] == Shown("location.zone", "", "default")


def test_secrets_are_set_and_nothing_more(file: Path) -> None:
    said = by_key(file, DEVTEAM_API_KEY="canary")
    assert "canary" not in repr(said)
    assert said["apiKey"] == Shown("apiKey", "set", "environment variable DEVTEAM_API_KEY")
    assert said["mcpServers.near.env.TOKEN"].value == said["mcpServers.far.headers.Authorization"].value == "set"
    assert (said["mcpServers.near.args"].value, said["mcpServers.far.args"].value) == ("set", "")
    assert said["mcpServers.near.env.EMPTY"].value == ""
    assert said["mcpServers.far.url"].value == "http://h/mcp?…"
    assert by_key(file)["apiKey"] == Shown("apiKey", "", "default")


def test_a_key_means_a_setting_or_a_section(file: Path) -> None:
    settings = shown(file, {}, MACHINE)
    assert [item.value for item in only(settings, "concurrency")] == [6]
    assert [item.key for item in only(settings, "location")] == ["location.region", "location.zone", "location.host"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("concurency", "no setting is called 'concurency'; did you mean concurrency?"),
        ("heartbeat.intervallMs", "did you mean heartbeat.intervalMs?"),
        ("hartbeat", "did you mean heartbeat?"),
        ("zzz", "`devteam-worker config show` lists them all"),
    ],
)
def test_an_unknown_key_is_refused_with_what_was_meant(key: str, said: str) -> None:
    with pytest.raises(NotFound) as refused:
        only(shown(None, {}, MACHINE), key)
    assert said in refused.value.message


def test_a_file_that_a_worker_would_refuse_is_refused(file: Path) -> None:
    file.write_text("worker: {concurency: 4}\n")
    with pytest.raises(InvalidInput, match="did you mean concurrency"):
        shown(file, {}, MACHINE)


@pytest.mark.parametrize("url", ["http://me:canary@h.example:7400", "https://canary@", "me:canary@h.example:7400"])
def test_an_address_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        shown(None, {"DEVTEAM_API_URL": url}, MACHINE)
    said = "DEVTEAM_API_URL: must not hold a user or a password; set DEVTEAM_API_KEY instead"
    assert refused.value.message == said
