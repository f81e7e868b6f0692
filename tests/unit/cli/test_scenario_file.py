"""Scenario files: what they mean, and how they are refused."""

from pathlib import Path

import pytest
from devteam_cli.scenario_file import read_scenario
from devteam_router.domain import Location, Requirements, Resources, StrategyName, WorkerQueue
from devteam_router.routing import ModelLimit, Policy, QueuePolicy, Wishes
from devteam_router.simulation.scenario import (
    Burst,
    Change,
    FleetIncident,
    Scenario,
    Spread,
    ThrottleIncident,
    Work,
)

from devteam.mesh.errors import InvalidInput

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fleet.yaml"

GROUP = "{name: a}"
STREAM = "{model: m, ratePerHour: 10, duration: {mean: 5}}"


def read(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "fleet.yaml"
    file.write_text(text, encoding="utf-8")
    return read_scenario(file)


def refused(tmp_path: Path, text: str) -> dict[str, str]:
    """What is wrong with a file, by field."""
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, text)
    return {violation.field: violation.message for violation in error.value.violations}


def with_parts(*, fleet: str = GROUP, traffic: str = STREAM, rest: str = "") -> str:
    return f"fleet: [{fleet}]\ntraffic: [{traffic}]\n{rest}\n"


def test_a_group_says_what_a_workers_own_file_would(tmp_path: Path) -> None:
    group = """{name: gpu, count: 3, speed: 2.5, weight: 2, loadTime: 25s, localModels: [llama], modelsInMemory: 1,
      queues: [{name: q, concurrency: 2, models: ["ollama:*"]}, {name: r}], concurrency: 3,
      resources: {gpu: true, gpuModel: RTX, ramGB: 24, cpuCores: 8}, labels: {zone: a},
      location: {region: eu, zone: z, host: h}, dataSources: [papers]}"""
    [found] = read(tmp_path, with_parts(fleet=group)).groups
    assert (found.name, found.count, found.speed, found.load_time, found.in_memory) == ("gpu", 3, 2.5, 25.0, 1)
    worker = found.worker
    assert worker.queues == {"q": WorkerQueue("q", 2, ("ollama:*",)), "r": WorkerQueue("r", 3)}
    assert (worker.concurrency, worker.weight, worker.labels) == (3, 2.0, {"zone": "a"})
    assert worker.resources == Resources(gpu=True, gpu_model="RTX", ram_gb=24.0, cpu_cores=8)
    assert worker.location == Location("eu", "z", "h")
    assert (worker.data_sources, worker.local_models) == (frozenset({"papers"}), frozenset({"llama"}))


def test_a_group_that_says_nothing_is_a_worker_that_says_nothing(tmp_path: Path) -> None:
    [found] = read(tmp_path, with_parts()).groups
    assert (found.count, found.speed, found.worker.concurrency) == (1, 1.0, 4)
    assert found.worker.queues == {"default": WorkerQueue("default", 4)}


def test_a_stream_says_what_comes_how_often_and_how_long_it_takes(tmp_path: Path) -> None:
    stream = """{name: s, model: m, queue: q, tenant: t, priority: 1, near: papers, deadline: 2m,
      burst: {count: 9, at: 0.5, within: 1m}, duration: {distribution: lognormal, mean: 1m, sigma: 0.5},
      requirements: {gpu: true, gpuModel: RTX, minRamGB: 16, minCpuCores: 4, labels: {b: y, a: x}, dataSources: [d]}}"""
    [found] = read(tmp_path, with_parts(traffic=stream)).streams
    assert (found.name, found.model, found.queue, found.tenant, found.priority) == ("s", "m", "q", "t", 1)
    assert (found.near, found.deadline, found.burst) == ("papers", 120.0, Burst(9, 1800.0, 60.0))
    assert found.work == Work(60.0, Spread.LOGNORMAL, 0.5)
    assert found.requirements == Requirements(True, "RTX", 16.0, 4, (("a", "x"), ("b", "y")), ("d",))


def test_a_policy_is_what_operators_want(tmp_path: Path) -> None:
    """Weights of tenants hold in every queue that somebody serves and that does not say its own."""
    policy = """policy:
      strategy: locality
      localityWait: 5s
      preferences: {"ollama:*": [gpu, default]}
      tenantWeights: {big: 3}
      queues: [{name: gpu, paused: true, strategy: round-robin, localityWait: 0, tenantWeights: {big: 1}}]
      limits: [{model: opus, startsPerMinute: 60}, {model: haiku, queue: gpu, startsPerMinute: 1}]"""
    found = read(tmp_path, with_parts(rest=policy))
    assert found.policy == Policy(StrategyName.LOCALITY, {"ollama:*": ("gpu", "default")}, 5.0)
    assert found.wishes == Wishes(
        queues={
            "default": QueuePolicy(tenant_weights={"big": 3.0}),
            "gpu": QueuePolicy(True, StrategyName.ROUND_ROBIN, 0.0, {"big": 1.0}),
        },
        limits=(ModelLimit("opus", "", 60.0), ModelLimit("haiku", "gpu", 1.0)),
    )


def test_events_happen_at_their_hour(tmp_path: Path) -> None:
    events = "events: [{at: 1, kill: a, count: 2}, {at: 1.5, join: a}, {at: 2, throttle: m, for: 90s}]"
    assert read(tmp_path, with_parts(rest=events)).incidents == (
        FleetIncident(3600.0, Change.KILL, "a", 2),
        FleetIncident(5400.0, Change.JOIN, "a"),
        ThrottleIncident(7200.0, "m", 90.0),
    )


def test_what_the_command_line_says_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(with_parts(rest="hours: 8\nseed: 2"), encoding="utf-8")
    assert (read_scenario(file).hours, read_scenario(file).seed) == (8.0, 2)
    assert (read_scenario(file, hours=2.0, seed=5).hours, read_scenario(file, hours=2.0, seed=5).seed) == (2.0, 5)


def test_the_example_is_what_the_command_writes() -> None:
    import devteam_cli.simulate

    assert EXAMPLE.read_bytes() == devteam_cli.simulate._EXAMPLE.read_bytes()
    assert len(read_scenario(EXAMPLE).streams) == 5


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (with_parts(fleet="{name: a, cuont: 2}"), "fleet[0].cuont", "unknown key; did you mean count?"),
        (with_parts(fleet="{name: a, resources: {ram: 2}}"), "fleet[0].resources.ram", "did you mean ramGB?"),
        (
            with_parts(fleet="{name: a, queues: [{name: q, slots: 2}]}"),
            "fleet[0].queues[0].slots",
            "unknown key; known are name, concurrency, models",
        ),
        (with_parts(rest="polcy: {}"), "polcy", "did you mean policy?"),
        (with_parts(rest="policy: {strategy: luck}"), "policy.strategy", "'round-robin', 'least-loaded'"),
        (with_parts(fleet="{name: a, speed: 0}"), "fleet[0].speed", "must be greater than or equal to 0.001"),
        (with_parts(fleet="{name: a, speed: .inf}"), "fleet[0].speed", "must be"),
        (with_parts(fleet="{name: a}, {name: a}"), "fleet[1].name", "is 'a', as another one's"),
        (with_parts(fleet="{name: a, queues: [{name: q}, {name: q}]}"), "fleet[0].queues[1].name", "another one's"),
        (with_parts(fleet=""), "fleet", "must have at least one entry"),
        (with_parts(fleet="{name: a, count: 6000}, {name: b, count: 6000}"), "fleet", "has 12,000 workers"),
        ("fleet: [{name: a}]", "traffic", "must be given"),
        (with_parts(traffic="{model: m, duration: {mean: 5}}"), "traffic[0]", "give either ratePerHour or burst"),
        (
            with_parts(traffic="{model: m, ratePerHour: 1, profile: [1, 2], duration: {mean: 5}}"),
            "traffic[0].profile",
            "has 2 numbers; must have 24",
        ),
        (
            with_parts(traffic="{model: m, ratePerHour: 1, duration: {mean: soon}}"),
            "traffic[0].duration.mean",
            "'soon' is no length of time",
        ),
        (with_parts(traffic="{model: m, ratePerHour: 1000000, duration: {mean: 5}}"), "traffic", "24,000,000 tasks"),
        (with_parts(rest="events: [{at: 1, kill: b}]"), "events[0].kill", "there is no group 'b' in the fleet"),
        (with_parts(rest="events: [{at: 1, kill: a, join: a}]"), "events[0]", "give one of cordon"),
        (with_parts(rest="events: [{at: 1, throttle: m}]"), "events[0]", "is given a time with for"),
        (with_parts(rest="events: [{at: 1, throttle: m, for: 3, count: 2}]"), "events[0]", "count goes with groups"),
        ("fleet: [", "", "line 1, column 9"),
    ],
)
def test_a_bad_file_is_refused_with_its_field(tmp_path: Path, text: str, field: str, message: str) -> None:
    assert message in refused(tmp_path, text)[field]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = refused(tmp_path, with_parts(fleet="{name: a, sped: 2}, {name: b, weight: 0}", rest="seed: x"))
    assert sorted(found) == ["fleet[0].sped", "fleet[1].weight", "seed"]
