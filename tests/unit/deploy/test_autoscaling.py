"""deploy/autoscaling: the files fit each other, the product, and what Kubernetes takes."""

import re
from pathlib import Path
from typing import Any

import pytest
from devteam_router.convert.scaling import metric_name, trigger_from_proto
from devteam_router.scaling.advice import Trigger
from devteam_worker.cli import app
from devteam_worker.settings import WorkerSettings, load_settings
from devteam_worker.settings_layers import ENVIRONMENT
from ruamel.yaml import YAML
from typer.testing import CliRunner

from devteam.keda.externalscaler_pb2 import ScaledObjectRef
from devteam.mesh.metrics.catalog import CATALOG
from tests.fakes.prometheus import Prometheus
from tests.fakes.promql import understood
from tests.fakes.scrape import parsed

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "autoscaling"
PAGE = ROOT / "docs" / "autoscaling.md"
KEDA = ("keda/scaledobject.yaml", "keda/scaledobject-push.yaml")
DEPTH, DEMAND = "devteam_queue_depth", "devteam_queue_demand_slots"
# Seconds for what is handed back to be heard of (5), and for the Registry to hear of the leave (10).
LEAVE_TAKING = 15

# What may stand in an HPA, as far as ours go: a type, a list of one shape, or a mapping, where "name?" may be left out.
POLICY = {"type": str, "value": int, "periodSeconds": int}
RULES = {"stabilizationWindowSeconds": int, "policies": [POLICY], "selectPolicy?": str}
METRIC = {
    "type": str,
    "external": {
        "metric": {"name": str, "selector?": {"matchLabels": {"queue": str}}},
        "target": {"type": str, "averageValue": str},
    },
}
HPA = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str},
    "spec": {
        "scaleTargetRef": {"apiVersion": str, "kind": str, "name": str},
        "minReplicas": int,
        "maxReplicas": int,
        "metrics": [METRIC],
        "behavior": {"scaleUp": RULES, "scaleDown": RULES},
    },
}
SCALED_OBJECT = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "namespace": str},
    "spec": {
        "scaleTargetRef": {"name": str},
        "minReplicaCount": int,
        "maxReplicaCount": int,
        "pollingInterval": int,
        "cooldownPeriod": int,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": RULES, "scaleDown": RULES}}},
        "triggers": [{"type": str, "metadata": {"scalerAddress": str, "queue": str, "slotsPerWorker": str}}],
    },
}


def manifest(name: str) -> Any:
    return YAML(typ="safe").load(FOLDER / name)


def pod() -> Any:
    return manifest("worker.yaml")["spec"]["template"]["spec"]


def container() -> Any:
    [only] = pod()["containers"]
    return only


def settings() -> WorkerSettings:
    """As a worker reads them in such a pod."""
    return load_settings(None, {}, {entry["name"]: entry.get("value", "pod-1") for entry in container()["env"]})


def metrics() -> Any:
    """What the HPA scales on."""
    return manifest("hpa/hpa.yaml")["spec"]["metrics"]


def asked(metric: str, queue: str = "cpu-queue") -> str:
    """What prometheus-adapter asks for one metric of the HPA."""
    [rule] = manifest("hpa/prometheus-adapter.yaml")["externalRules"]
    query: str = rule["metricsQuery"]
    return query.replace("<<.Series>>", metric).replace("<<.LabelMatchers>>", f'queue="{queue}"')


QUEUE = frozenset({("queue", "cpu-queue")})
ONE_ROUTER, OTHER_ROUTER = (
    f'{DEPTH}{{queue="cpu-queue"}} {depth}\n{DEMAND}{{queue="cpu-queue"}} {demand}\ndevteam_router_links 2\n'
    for depth, demand in ((3, 5), (4, 9))
)


def mesh(*pages: str, routers: int = 2) -> Prometheus:
    """What was scraped of these Routers, and of a Registry that knows of so many."""
    prometheus = Prometheus()
    prometheus.scraped("registry", parsed(f"devteam_routers {routers}\n"))
    for number, page in enumerate(pages, start=1):
        prometheus.scraped(f"router-{number}", parsed(page))
    return prometheus


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Where a value is not of a shape."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return [f"{path} is no mapping"]
            known = {key.rstrip("?"): inner for key, inner in shape.items()}
            wrong = [f"{path}.{key} is unknown" for key in value if key not in known]
            wrong += [f"{path}.{key} is missing" for key in shape if not key.endswith("?") and key not in value]
            inner = ((value[key], inner, f"{path}.{key}") for key, inner in known.items() if key in value)
            return wrong + [item for each in inner for item in misfits(*each)]
        case list():
            if not isinstance(value, list) or not value:
                return [f"{path} is no list of something"]
            return [item for n, entry in enumerate(value) for item in misfits(entry, shape[0], f"{path}[{n}]")]
        case _:
            return [] if type(value) is shape else [f"{path} is {value!r}"]


class TestWorker:
    def test_its_variables_are_the_workers(self) -> None:
        assert {entry["name"] for entry in container()["env"]} <= {*ENVIRONMENT, "DEVTEAM_DATA"}
        told = settings()
        assert [queue.name for queue in told.queues] == ["cpu-queue"]
        assert (told.concurrency, told.worker_id, told.api_url) == (4, "pod-1", "https://devteam.example")

    def test_the_pod_lives_longer_than_its_drain(self) -> None:
        drain = settings().drain_deadline_ms / 1000
        hook = container()["lifecycle"]["preStop"]["exec"]["command"]
        # One number is enough: what is set for the worker holds for its hook.
        assert hook[hook.index("--deadline") + 1] == "own"
        assert pod()["terminationGracePeriodSeconds"] >= drain + LEAVE_TAKING

    @pytest.mark.parametrize("what", ["lifecycle", "readinessProbe"])
    def test_its_commands_exist(self, what: str, tmp_path: Path) -> None:
        """Where nobody works, they say so; of words that they do not know, they would say something else."""
        part = container()[what]
        command, *arguments = part.get("preStop", part)["exec"]["command"]
        ran = CliRunner().invoke(app, arguments, env={"DEVTEAM_DATA": str(tmp_path)})
        assert (command, ran.exit_code) == ("devteam-worker", 1)
        assert "no worker runs on this machine" in ran.output

    def test_the_hook_is_no_signal(self) -> None:
        """`stop` sends the first one, so that the kubelet's would be the second, which ends a worker at once."""
        assert "drain" in container()["lifecycle"]["preStop"]["exec"]["command"]
        assert "--wait" in container()["lifecycle"]["preStop"]["exec"]["command"]

    def test_nobody_sets_the_number_of_workers_but_the_autoscaler(self) -> None:
        assert "replicas" not in manifest("worker.yaml")["spec"]


class TestKeda:
    @pytest.mark.parametrize("name", KEDA)
    def test_it_is_a_scaled_object(self, name: str) -> None:
        assert misfits(manifest(name), SCALED_OBJECT) == []
        assert (manifest(name)["apiVersion"], manifest(name)["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")

    @pytest.mark.parametrize("name", KEDA)
    def test_the_router_takes_its_trigger_which_fits_the_worker(self, name: str) -> None:
        [trigger] = manifest(name)["spec"]["triggers"]
        read = trigger_from_proto(ScaledObjectRef(scalerMetadata=trigger["metadata"]))
        [queue] = settings().queues
        assert read == Trigger(queue.name, settings().concurrency)
        assert metric_name(read).startswith(DEMAND)

    @pytest.mark.parametrize("name", KEDA)
    def test_it_scales_the_worker(self, name: str) -> None:
        worker, scaled = manifest("worker.yaml"), manifest(name)
        assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
        assert scaled["metadata"]["namespace"] == worker["metadata"]["namespace"]

    def test_to_be_told_at_once_is_the_only_difference(self) -> None:
        polled, told = map(manifest, KEDA)
        assert (polled["spec"]["triggers"][0].pop("type"), told["spec"]["triggers"][0].pop("type")) == (
            "external",
            "external-push",
        )
        assert polled == told


class TestHpa:
    def test_it_is_one(self) -> None:
        hpa = manifest("hpa/hpa.yaml")
        assert misfits(hpa, HPA) == []
        assert (hpa["apiVersion"], hpa["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")

    def test_it_scales_the_worker_on_its_queue(self) -> None:
        worker, hpa = manifest("worker.yaml"), manifest("hpa/hpa.yaml")
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": worker["metadata"]["name"]}
        assert hpa["spec"]["scaleTargetRef"] == target
        assert hpa["metadata"]["namespace"] == worker["metadata"]["namespace"]
        external = [metric["external"] for metric in metrics()]
        assert [metric["metric"]["name"] for metric in external] == [DEPTH, DEMAND]
        assert [metric["target"]["averageValue"] for metric in external] == ["5", str(settings().concurrency)]
        labels = {metric["metric"]["selector"]["matchLabels"]["queue"] for metric in external}
        assert labels == {settings().queues[0].name}

    def test_prometheus_is_asked_for_what_it_scales_on(self) -> None:
        [rule] = manifest("hpa/prometheus-adapter.yaml")["externalRules"]
        [names] = re.findall(r'__name__=~"([^"]+)"', rule["seriesQuery"])
        assert sorted(names.split("|")) == sorted([DEPTH, DEMAND])
        assert rule["resources"] == {"namespaced": False}
        assert {found.name for found in understood(asked(DEPTH)).selectors} <= {metric.exposed for metric in CATALOG}

    @pytest.mark.parametrize(("metric", "answer"), [(DEPTH, 3 + 4), (DEMAND, 5 + 9)])
    def test_what_all_routers_hold_is_added_up(self, metric: str, answer: float) -> None:
        assert mesh(ONE_ROUTER, OTHER_ROUTER).ask(asked(metric)) == {QUEUE: answer}
        assert mesh(ONE_ROUTER, OTHER_ROUTER).ask(asked(metric, queue="odd")) == {}

    def test_one_router_is_enough_where_there_is_one(self) -> None:
        assert mesh(ONE_ROUTER, routers=1).ask(asked(DEMAND)) == {QUEUE: 5}

    @pytest.mark.parametrize("metric", [DEPTH, DEMAND])
    def test_where_a_router_is_not_heard_there_is_no_answer(self, metric: str) -> None:
        """Its share would be missing, and workers be taken away that are busy with it."""
        prometheus = mesh(ONE_ROUTER, OTHER_ROUTER)
        for told in (None, parsed("devteam_loop_lag_seconds_count 1\n")):
            prometheus.scraped("router-1", told)
            assert prometheus.ask(asked(metric)) == {}
        prometheus.scraped("router-1", parsed(ONE_ROUTER))
        assert prometheus.ask(asked(metric)) != {}

    def test_a_router_that_the_registry_has_given_up_is_not_waited_for(self) -> None:
        prometheus = mesh(ONE_ROUTER, OTHER_ROUTER)
        prometheus.scraped("router-1", None)
        prometheus.scraped("registry", parsed("devteam_routers 1\n"))
        assert prometheus.ask(asked(DEMAND)) == {QUEUE: 9}

    def test_without_a_registry_nobody_knows_whether_all_are_heard(self) -> None:
        prometheus = mesh(ONE_ROUTER, OTHER_ROUTER)
        prometheus.scraped("registry", None)
        assert prometheus.ask(asked(DEMAND)) == {}

    def test_demand_alone_grows_as_early_where_nothing_is_held_back(self) -> None:
        """So that whoever pauses queues may leave depth out, as the page says: its share is never the larger one."""
        depth, demand = (float(metric["external"]["target"]["averageValue"]) for metric in metrics())
        assert demand <= depth


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"minReplicas": "2"}, [".spec.minReplicas is '2'"]),
        ({"metrics": []}, [".spec.metrics is no list of something"]),
        ({"replicas": 3}, [".spec.replicas is unknown"]),
        ({"behavior": {"scaleUp": 1}}, [".spec.behavior.scaleDown is missing", ".spec.behavior.scaleUp is no mapping"]),
    ],
)
def test_a_shape_finds_what_does_not_fit(change: dict[str, Any], said: list[str]) -> None:
    hpa = manifest("hpa/hpa.yaml")
    hpa["spec"].update(change)
    assert misfits(hpa, HPA) == said


def test_no_file_and_no_page_names_another_metric() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*FOLDER.rglob("*.yaml"), PAGE)]
    assert {name for text in texts for name in re.findall(r"devteam_queue_\w+", text)} == {DEPTH, DEMAND}


def test_the_page_says_what_the_files_do() -> None:
    """The figures of its table of times are those of the files."""
    page = PAGE.read_text(encoding="utf-8")
    grace, drain = pod()["terminationGracePeriodSeconds"], settings().drain_deadline_ms
    for name, value in (("terminationGracePeriodSeconds", grace), ("DEVTEAM_DRAIN_DEADLINE_MS", drain)):
        assert f"| `{name}` | {value:,} |" in page
    for name in ("pollingInterval", "cooldownPeriod"):
        assert f"| `{name}` | {manifest(KEDA[0])['spec'][name]:,} |" in page
