"""Settings that are refused, with everything that is wrong by its path or its variable."""

import re
from pathlib import Path

import pytest
from devteam_worker.settings import load_settings

from devteam.mesh.errors import InvalidInput
from tests.unit.worker.settings_of import load, refused


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.yaml"


def test_every_unknown_key_is_named_with_its_path_and_what_was_meant(file: Path) -> None:
    yaml = """\
wrker: 1
worker:
  heartbeat: {intervallMs: 1}
  queues: [{name: a, Models: [x]}, {name: b, concurency: 2}]
  location: {planet: earth}
  dataSources: [wiki, {name: papers, pth: /srv}]
  mcpServers: {clock: {comand: uvx}, far: {url: "http://h", Headers: {}}}
"""
    assert refused(file, yaml) == [
        "wrker: unknown key; did you mean worker?",
        "worker.heartbeat.intervallMs: unknown key; did you mean intervalMs?",
        "worker.queues[0].Models: unknown key; did you mean models?",
        "worker.queues[1].concurency: unknown key; did you mean concurrency?",
        "worker.location.planet: unknown key; known are region, zone, host",
        "worker.dataSources[1].pth: unknown key; did you mean path?",
        "worker.mcpServers.clock.comand: unknown key; did you mean command?",
        "worker.mcpServers.far.Headers: unknown key; did you mean headers?",
        "worker.mcpServers.clock: must have either a command or a url",
    ]


def test_every_bad_value_is_named_with_its_path_beside_unknown_keys(file: Path) -> None:
    yaml = """\
worker:
  id: über
  colour: red
  queues: [{name: a b, concurrency: -1}, 5]
  weight: 0.001
  resources: {ramGB: .nan, gpu: perhaps}
  heartbeat: {intervalMs: 0, endpoint: "ftp://h"}
  labels: {a: 1}
  ollama: {host: "h:port", keepAlive: forever, numCtx: 1}
  openai: {baseUrl: "127.0.0.1:8000"}
"""
    assert refused(file, yaml) == [
        (
            "worker.colour: unknown key; known are id, apiUrl, caFile, certFile, keyFile, queues, concurrency, weight, "
            "resources, heartbeat, labels, location, dataSources, provider, aliases, prices, anthropic, ollama, "
            "openai, sim, drainDeadlineMs, maxTurns, tools, mcpServers, progressTimeoutMs, logLevel, metricsPort, "
            "metricsInsecure, metricsHost, traceFile"
        ),
        "worker.id: must be 1 to 128 characters of A-Z a-z 0-9 . _ -",
        "worker.queues[0].name: must be 1 to 128 characters of A-Z a-z 0-9 . _ -",
        "worker.queues[0].concurrency: must be greater than or equal to 0",
        "worker.queues[1]: must be a valid mapping",
        "worker.weight: must be greater than or equal to 0.01",
        "worker.resources.gpu: must be a valid boolean, unable to interpret input",
        "worker.resources.ramGB: must be less than or equal to 65536",
        "worker.heartbeat.intervalMs: must be greater than or equal to 1",
        "worker.heartbeat.endpoint: must be of the form http://host:port",
        "worker.labels.a: must be a valid string",
        "worker.ollama.host: must be of the form host:port",
        "worker.ollama.keepAlive: must be a time like 30m or 1h30m, or a number of seconds",
        "worker.ollama.numCtx: must be greater than or equal to 256",
        "worker.openai.baseUrl: must be of the form http://host:port",
    ]


def test_a_bad_variable_is_named_itself_unless_a_flag_decides(file: Path) -> None:
    environ = {"DEVTEAM_CONCURRENCY": "many", "DEVTEAM_API_URL": "https://:0", "DEVTEAM_PROVIDER": "magic"}

    assert refused(file, "", {"provider": "other"}, environ) == [
        "DEVTEAM_API_URL: 'https://:0' is not of the form http://host:port",
        "DEVTEAM_CONCURRENCY: must be a valid integer, unable to parse string as an integer",
        "worker.provider: must be 'auto', 'anthropic', 'ollama', 'openai' or 'sim'",
    ]


def test_a_worker_without_slots_is_refused_by_whoever_asks_for_it(file: Path) -> None:
    """In a file 0 stands for what the queues say; elsewhere nobody means that."""
    assert refused(file, "", {"concurrency": 0}) == ["concurrency: must be greater than or equal to 1"]
    assert refused(file, "", environ={"DEVTEAM_CONCURRENCY": "0"}) == [
        "DEVTEAM_CONCURRENCY: must be greater than or equal to 1"
    ]
    assert load(file, "worker: {concurrency: 0}").queues[0].concurrency == 4


@pytest.mark.parametrize("keep_alive", ["-1", "0", "90", "5m", "-1m", "1.5h"])
def test_a_model_stays_in_memory_for_seconds_or_for_a_time_as_ollama_writes_it(file: Path, keep_alive: str) -> None:
    kept = load(file, f"worker: {{ollama: {{keepAlive: {keep_alive}}}}}").ollama.keep_alive

    assert str(kept) == keep_alive


def test_labels_of_the_environment_have_their_form(file: Path) -> None:
    environ = {"DEVTEAM_LABELS": "team=search,spot", "DEVTEAM_DATA_SOURCES": "a b"}

    assert refused(file, "", environ=environ) == [
        "DEVTEAM_LABELS: must be of the form name=value,name=value",
        "worker.dataSources[0].name: must be 1 to 128 characters of A-Z a-z 0-9 . _ -",
    ]


def test_metrics_are_shown_to_others_only_on_purpose(file: Path) -> None:
    meant = "worker: {metricsHost: 0.0.0.0, metricsPort: 7494, metricsInsecure: true}"

    assert refused(file, "worker: {metricsHost: 0.0.0.0, metricsPort: 7494}") == [
        (
            "worker.metricsHost: must be an address of this machine alone, as 127.0.0.1, or metricsInsecure must be "
            "true: whoever reaches this page reads which models run here and what they cost, without a key"
        )
    ]
    assert load(file, meant).metrics_host == "0.0.0.0"
    assert load(file, "", environ={"DEVTEAM_METRICS_INSECURE": "true", "DEVTEAM_METRICS_HOST": "::"}).metrics_insecure


def test_an_unknown_flag_is_refused(file: Path) -> None:
    assert refused(file, "", {"concurency": 3}) == ["concurency: unknown key; did you mean concurrency?"]


def test_a_key_in_two_spellings_is_refused(file: Path) -> None:
    assert refused(file, "worker: {apiUrl: 'http://h', api_url: 'http://g'}") == [
        "worker.api_url: is given twice, in two spellings"
    ]


def test_a_secret_in_the_file_is_refused_and_not_repeated(file: Path) -> None:
    assert refused(file, "worker: {apiKey: dt-secret}") == [
        "worker.apiKey: is a secret and does not belong in a file; set DEVTEAM_API_KEY"
    ]


def test_a_data_source_twice_is_refused(file: Path) -> None:
    assert refused(file, "worker: {dataSources: [a, {name: a, path: docs}]}") == [
        "worker.dataSources[1].name: is 'a', as another one's"
    ]


def test_a_data_source_in_no_folder_is_refused(file: Path) -> None:
    assert refused(file, 'worker: {dataSources: [{name: a, path: ""}]}') == [
        "worker.dataSources[0].path: must name a folder"
    ]


def test_a_home_that_nobody_has_is_refused(file: Path) -> None:
    assert refused(file, "worker: {dataSources: [{name: a, path: ~nobody-of-this-name/docs}]}") == [
        "worker.dataSources[0].path: begins in a home folder that cannot be found"
    ]


def test_a_queue_twice_is_refused(file: Path) -> None:
    assert refused(file, "worker: {queues: [{name: a}, {name: b}, {name: a}]}") == [
        "worker.queues[2].name: is 'a', as another queue's"
    ]


@pytest.mark.parametrize(
    ("timings", "problems"),
    [
        (
            "intervalMs: 30000, unhealthyAfterMs: 59999",
            ["unhealthyAfterMs: is 59999; must be at least twice intervalMs, which makes 60000"],
        ),
        (
            "unhealthyAfterMs: 60, rebalanceAfterMs: 60, deregisterAfterMs: 59",
            [
                "rebalanceAfterMs: is 60; must be more than unhealthyAfterMs, which is 60",
                "deregisterAfterMs: is 59; must be more than rebalanceAfterMs, which is 60",
            ],
        ),
        (
            "unhealthyAfterMs: 60, deregisterAfterMs: 60",
            ["deregisterAfterMs: is 60; must be more than unhealthyAfterMs, which is 60"],
        ),
    ],
)
def test_timings_out_of_order_are_refused(file: Path, timings: str, problems: list[str]) -> None:
    assert refused(file, f"worker: {{heartbeat: {{{timings}}}}}") == [
        f"worker.heartbeat.{problem}" for problem in problems
    ]


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        (b"- worker", "must hold a mapping that begins with `worker:`"),
        (b"worker: {a: 1}\nworker: {b: 2}", 'line 2, column 1: found duplicate key "worker"'),
        (b"worker: [", "line 1, column 10: expected the node content, but found '<stream end>'"),
        (b"worker: !!python/object:os.system x", "could not determine a constructor for the tag"),
        (b"worker: \xff", "is not UTF-8"),
        (b"worker: \x00", "is not YAML"),
        (b"a: &a [1]\nb: [" + b"*a," * 51 + b"]", "more than 32 levels or more than 50 YAML aliases"),
        (b"[" * 100_000, "more than 32 levels or more than 50 YAML aliases"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
        (b"worker: 3", "worker: must be a mapping"),
        (b"worker: []", "worker: must be a mapping"),
        (b"worker: {queues: {a: 1}}", "worker.queues: must be a valid list"),
    ],
    ids=[
        "list",
        "twice",
        "unfinished",
        "object",
        "latin",
        "nul",
        "aliases",
        "depth",
        "size",
        "scalar",
        "empty list",
        "queues",
    ],
)
def test_a_file_that_is_none_is_refused(file: Path, yaml: bytes, problem: str) -> None:
    file.write_bytes(yaml)

    with pytest.raises(InvalidInput, match=re.escape(problem)):
        load_settings(file, {}, {})


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape("cannot be read (No such file or directory)")):
        load_settings(file, {}, {})


@pytest.mark.parametrize(("given", "missing"), [("certFile", "keyFile"), ("keyFile", "certFile")])
def test_a_certificate_and_its_key_go_together(file: Path, given: str, missing: str) -> None:
    assert refused(file, f"worker: {{{given}: x.pem}}") == [
        f"worker.{missing}: goes with {given}: name both files, or none"
    ]
