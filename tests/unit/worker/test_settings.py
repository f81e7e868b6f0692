import platform
import re
from pathlib import Path

import pytest
from devteam_worker.models import DEFAULT_ALIASES
from devteam_worker.settings_sections import (
    DataSourceSettings,
    HeartbeatSettings,
    LocationSettings,
    McpServerSettings,
    OllamaSettings,
    PriceSettings,
    QueueSettings,
    ResourceSettings,
    ToolSettings,
)

from devteam.mesh.tls import TlsFiles
from tests.unit.worker.settings_of import bare, load, refused

MISSION_FILE = """\
worker:
  id: worker-asus-gpu
  queues:
    - name: gpu-queue
      concurrency: 4
      models:
        - opus
        - sonnet
        - ollama:*
    - name: default
      concurrency: 2
      models:
        - sonnet
        - haiku
  resources:
    gpu: true
    gpuModel: RTX 5080
    ramGB: 24
    cpuCores: 8
  heartbeat:
    intervalMs: 30000
    endpoint: https://devteam.example/api/workers/heartbeat
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.yaml"


def test_the_missions_file_is_taken_as_it_is(file: Path) -> None:
    settings = load(file, MISSION_FILE)

    assert settings.worker_id == "worker-asus-gpu"
    assert settings.queues == (
        QueueSettings(name="gpu-queue", concurrency=4, models=("opus", "sonnet", "ollama:*")),
        QueueSettings(name="default", concurrency=2, models=("sonnet", "haiku")),
    )
    assert settings.resources == ResourceSettings(gpu=True, gpu_model="RTX 5080", ram_gb=24, cpu_cores=8)
    assert settings.heartbeat == HeartbeatSettings(
        interval_ms=30_000, endpoint="https://devteam.example/api/workers/heartbeat"
    )
    assert settings.api_url == "https://devteam.example"


def test_the_missions_timings_are_taken_as_they_are(file: Path) -> None:
    yaml = """\
worker:
  heartbeat:
    intervalMs: 30000
    unhealthyAfterMs: 60000
    rebalanceAfterMs: 120000
    deregisterAfterMs: 300000
"""
    assert load(file, yaml).heartbeat == HeartbeatSettings(
        interval_ms=30_000, unhealthy_after_ms=60_000, rebalance_after_ms=120_000, deregister_after_ms=300_000
    )


def test_mcp_servers_are_named_so_that_models_can_name_their_tools(file: Path) -> None:
    ways = "{command: uvx}"
    yaml = f"worker: {{mcpServers: {{file_system-1: {ways}, my.files: {ways}, {'x' * 33}: {ways}}}}}"
    message = "is part of its tools' names, so that it must be 1 to 32 characters of A-Z a-z 0-9 _ -"
    assert refused(file, yaml) == [f"worker.mcpServers.my.files: {message}", f"worker.mcpServers.{'x' * 33}: {message}"]


@pytest.mark.parametrize("server", ["{}", "{command: uvx, url: 'http://mcp.example'}"])
def test_an_mcp_server_has_one_way_to_it(file: Path, server: str) -> None:
    assert refused(file, f"worker: {{mcpServers: {{files: {server}}}}}") == [
        "worker.mcpServers.files: must have either a command or a url"
    ]


def test_the_url_of_an_mcp_server_may_be_a_variable(file: Path) -> None:
    settings = load(file, "worker: {mcpServers: {far: {type: http, url: '${MCP_URL}'}}}")
    assert settings.mcp_servers["far"].url == "${MCP_URL}"
    assert refused(file, "worker: {mcpServers: {far: {url: mcp.example}}}") == [
        "worker.mcpServers.far.url: must be of the form http://host:port"
    ]


def test_everything_else_has_its_key_too(file: Path) -> None:
    yaml = """\
worker:
  apiUrl: http://10.0.0.7:7400
  concurrency: 5
  weight: 2.5
  labels: {team: search}
  location: {region: eu, zone: eu-1, host: rack-3}
  dataSources: [wiki, {name: papers, path: /srv/papers, url: "https://papers.example"}]
  prices: {"llama*": {input: 0.5, output: 1, cacheRead: 0.1}}
  maxTurns: 4
  tools: {allow: ["papers.*"], timeoutMs: 500, answerBytes: 1024}
  mcpServers:
    clock: {command: uvx, args: [mcp-server-time], env: {TZ: UTC}}
    far: {url: "https://mcp.example/mcp", headers: {Authorization: "Bearer ${TOKEN}"}}
  provider: ollama
  aliases: {fast: "ollama:llama3.2"}
  anthropic: {baseUrl: "http://127.0.0.1:8080"}
  ollama: {host: "10.0.0.9:11434", autoPull: true, keepAlive: 1h30m, numCtx: 32768}
  openai: {baseUrl: "http://127.0.0.1:8000/v1"}
  sim: {tokensPerSecond: 0, firstTokenMs: 5}
  drainDeadlineMs: 1000
  progressTimeoutMs: 2000
  logLevel: debug
  traceFile: traces.jsonl
"""
    settings = load(file, yaml)

    assert settings.api_url == "http://10.0.0.7:7400"
    assert (settings.concurrency, settings.weight) == (5, 2.5)
    assert settings.labels == {"team": "search"}
    assert settings.location == LocationSettings(region="eu", zone="eu-1", host="rack-3")
    assert settings.data_sources == (
        DataSourceSettings(name="wiki"),
        DataSourceSettings(name="papers", path=Path("/srv/papers"), url="https://papers.example"),
    )
    assert settings.prices == {"llama*": PriceSettings(input=0.5, output=1.0, cache_read=0.1)}
    assert (settings.max_turns, settings.tools) == (
        4,
        ToolSettings(allow=("papers.*",), timeout_ms=500, answer_bytes=1024),
    )
    assert settings.mcp_servers == {
        "clock": McpServerSettings(command="uvx", args=("mcp-server-time",), env={"TZ": "UTC"}),
        "far": McpServerSettings(url="https://mcp.example/mcp", headers={"Authorization": "Bearer ${TOKEN}"}),
    }
    assert settings.provider == "ollama"
    assert settings.aliases == {**DEFAULT_ALIASES, "fast": "ollama:llama3.2"}
    assert settings.anthropic.base_url == "http://127.0.0.1:8080"
    assert settings.ollama == OllamaSettings(host="10.0.0.9:11434", auto_pull=True, keep_alive="1h30m", num_ctx=32_768)
    assert settings.openai.base_url == "http://127.0.0.1:8000/v1"
    assert (settings.sim.tokens_per_second, settings.sim.first_token_ms) == (0.0, 5.0)
    assert (settings.drain_deadline_ms, settings.progress_timeout_ms) == (1000, 2000)
    assert (settings.log_level, settings.trace_file) == ("DEBUG", Path("traces.jsonl"))


def test_the_folder_of_a_data_source_begins_where_the_file_lies(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    yaml = "worker:\n  dataSources: [{name: a, path: docs}, {name: b, path: ../b}, {name: c, path: ~/c}, {name: d}]\n"
    folder = file.parent
    assert [source.path for source in load(file, yaml).data_sources] == [
        folder / "docs",
        folder / "../b",
        Path("/home/ada/c"),
        None,
    ]


def test_of_a_flag_it_begins_here() -> None:
    [source] = bare({"data_sources": [{"name": "a", "path": "docs"}]}).data_sources
    assert source.path == Path("docs")


def test_snake_case_means_the_same(file: Path) -> None:
    yaml = """\
worker:
  worker_id: w
  api_url: http://h:1
  resources: {gpu_model: A100, ram_gb: 80}
  heartbeat: {interval_ms: 10}
"""
    settings = load(file, yaml)

    assert (settings.worker_id, settings.api_url, settings.heartbeat.interval_ms) == ("w", "http://h:1", 10)
    assert settings.resources == ResourceSettings(gpu_model="A100", ram_gb=80)


@pytest.mark.parametrize("yaml", ["", "# nothing yet\n", "worker:\n"])
def test_an_empty_file_says_nothing(file: Path, yaml: str) -> None:
    assert load(file, yaml) == bare()


def test_without_anything_a_worker_serves_the_default_queue_of_a_mesh_on_its_machine() -> None:
    settings = bare()

    assert settings.api_url == "http://127.0.0.1:7400"
    assert settings.queues == (QueueSettings(name="default", concurrency=4),)
    assert (settings.provider, settings.weight) == ("auto", 1.0)


def test_the_id_is_made_of_host_and_first_queue_and_stays() -> None:
    first, second = [bare({"queue": ["cpu-queue", "other"]}) for _ in range(2)]

    assert first.worker_id == second.worker_id == re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node()) + "-cpu-queue"


def test_kubernetes_variables_are_enough() -> None:
    settings = bare(
        environ={
            "DEVTEAM_API_URL": "https://devteam.example",
            "DEVTEAM_QUEUE": "cpu-queue, batch",
            "DEVTEAM_CONCURRENCY": "4",
            "DEVTEAM_WEIGHT": "0.5",
            "DEVTEAM_API_KEY": "dt-key",
            "DEVTEAM_WORKER_ID": "w7",
            "DEVTEAM_MODELS": "haiku,sonnet",
            "DEVTEAM_PROVIDER": "sim",
            "DEVTEAM_LOG_LEVEL": "warning",
            "DEVTEAM_LABELS": "team=search, tier=spot",
            "DEVTEAM_DATA_SOURCES": "wiki, papers=/srv/papers",
            "DEVTEAM_DRAIN_DEADLINE_MS": "50000",
            "DEVTEAM_REGION": "eu",
            "DEVTEAM_ZONE": "eu-1",
            "DEVTEAM_HOST": "node-7",
        }
    )

    assert settings.api_url == "https://devteam.example"
    assert settings.queues == (
        QueueSettings(name="cpu-queue", concurrency=4, models=("haiku", "sonnet")),
        QueueSettings(name="batch", concurrency=4, models=("haiku", "sonnet")),
    )
    assert (settings.concurrency, settings.weight, settings.worker_id) == (4, 0.5, "w7")
    assert (settings.provider, settings.log_level, settings.drain_deadline_ms) == ("sim", "WARNING", 50_000)
    assert settings.labels == {"team": "search", "tier": "spot"}
    assert settings.data_sources == (
        DataSourceSettings(name="wiki"),
        DataSourceSettings(name="papers", path=Path("/srv/papers")),
    )
    assert settings.location == LocationSettings(region="eu", zone="eu-1", host="node-7")
    assert settings.api_key.get_secret_value() == "dt-key"
    assert "dt-key" not in repr(settings)


def test_named_queues_get_the_concurrency_each_and_in_all() -> None:
    settings = bare({"queue": ["q1", "q2"], "concurrency": 8})

    assert settings.queues == (QueueSettings(name="q1", concurrency=8), QueueSettings(name="q2", concurrency=8))
    assert settings.concurrency == 8


def test_a_named_queue_keeps_what_the_file_says_of_it(file: Path) -> None:
    assert load(file, MISSION_FILE, {"queue": ["gpu-queue"]}).queues == (
        QueueSettings(name="gpu-queue", concurrency=4, models=("opus", "sonnet", "ollama:*")),
    )


def test_a_queue_named_by_a_flag_does_not_stumble_over_a_bad_one_in_the_file(file: Path) -> None:
    yaml = "worker: {queues: [{name: [a]}, 7, {name: b, models: [x]}]}"

    assert load(file, yaml, {"queue": "b", "concurrency": 3}).queues == (
        QueueSettings(name="b", concurrency=3, models=("x",)),
    )


def test_a_queue_without_a_concurrency_has_the_workers(file: Path) -> None:
    yaml = "worker: {concurrency: 6, queues: [{name: a}, {name: b, concurrency: 2}]}"

    assert [queue.concurrency for queue in load(file, yaml).queues] == [6, 2]


def test_flags_win_over_the_environment_which_wins_over_the_file(file: Path) -> None:
    yaml = "worker: {id: of-file, provider: ollama, ollama: {host: file-host}, logLevel: ERROR}"
    environ = {"DEVTEAM_WORKER_ID": "of-environ", "DEVTEAM_PROVIDER": "sim", "OLLAMA_HOST": "environ-host"}

    settings = load(file, yaml, {"worker_id": "of-flag", "provider": None, "api_url": ""}, environ)

    assert (settings.worker_id, settings.provider) == ("of-flag", "sim")
    assert (settings.ollama.host, settings.log_level) == ("environ-host", "ERROR")


def test_sections_of_several_sources_are_merged_key_by_key(file: Path) -> None:
    settings = load(file, "worker: {resources: {gpu: true, ramGB: 8}}", {"resources": {"ram_gb": 16}})

    assert settings.resources == ResourceSettings(gpu=True, ram_gb=16)


def test_the_heartbeats_address_gives_no_password_away(file: Path) -> None:
    yaml = "worker: {heartbeat: {endpoint: 'https://me:secret@h.example:8443/api/workers/heartbeat'}}"

    assert load(file, yaml).api_url == "https://h.example:8443"


def test_certificates_of_the_file_lie_beside_it(tmp_path: Path) -> None:
    """Those of the environment where the shell is. `~` is somebody's home."""
    yaml = "worker: {caFile: certs/ca.pem, certFile: /etc/w.pem, keyFile: ~/w.key}"
    told = load(tmp_path / "worker.yaml", yaml)
    assert told.tls == TlsFiles(Path("/etc/w.pem"), Path.home() / "w.key", tmp_path / "certs" / "ca.pem")
    told = load(tmp_path / "worker.yaml", yaml, environ={"DEVTEAM_CA_FILE": "other.pem"})
    assert told.ca_file == Path("other.pem")
    assert load(tmp_path / "worker.yaml", "").tls is None
