"""deploy/k8s: what each overlay renders is what Kubernetes, its extensions and the product understand."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from google.protobuf import descriptor_pool
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from devteam.keda import externalscaler_pb2  # noqa: F401 - puts its services into the pool
from devteam.v1 import planner_pb2, registry_pb2, router_pb2, worker_pb2  # noqa: F401 - as above
from scripts.locked import ROOT
from tests.fakes.cluster import Cluster, Pod, fits, secrets_of
from tests.fakes.deployed import SETTINGS, misunderstood
from tests.unit.deploy.crd_schemas import CRDS
from tests.unit.deploy.rendered import OVERLAYS, cluster

FOLDER = ROOT / "deploy" / "k8s"
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
KUBERNETES = "1.37"
OURS = "devteam-orchestrator:"
# Seconds that a process of ours takes to end once it is told to; workers have a drain of their own.
LEAVE_TAKING = 15


def ours(pod: Pod) -> Iterator[tuple[Any, list[str]]]:
    """Containers of the product's image, with their commands."""
    for container in pod.containers:
        if OURS in container["image"]:
            yield container, [*container.get("command", []), *container.get("args", [])]


def each_container(found: Cluster) -> Iterator[tuple[Pod, Any]]:
    return ((pod, container) for pod in found.pods for container in pod.containers)


@cache
def validate(text: str) -> None:
    """Once for each object that is the same in several overlays: it takes a tenth of a second."""
    kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)


@pytest.fixture(params=OVERLAYS)
def found(request: pytest.FixtureRequest) -> Cluster:
    return cluster(request.param)


class TestShape:
    def test_kubernetes_takes_all_that_is_its_own(self, found: Cluster) -> None:
        for each in found.objects:
            if (each["apiVersion"], each["kind"]) not in CRDS:
                validate(json.dumps(each, sort_keys=True))

    def test_extensions_take_what_is_theirs(self, found: Cluster) -> None:
        for each in found.objects:
            if schema := CRDS.get((each["apiVersion"], each["kind"])):
                said = [
                    f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(each)
                ]
                assert said == [], each["metadata"]["name"]

    def test_everything_is_named_once_and_is_somewhere(self, found: Cluster) -> None:
        names = [(each["kind"], each["apiVersion"], *_place(each)) for each in found.objects]
        assert len(names) == len(set(names))
        spaces = {each["metadata"]["name"] for each in found.of("Namespace")}
        assert {place for *_, place, _ in names} <= {*spaces, "", "cert-manager"}

    @pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(FOLDER)))
    def test_each_file_by_itself(self, path: Path) -> None:
        """Also where nothing can be rendered: whole objects, not patches."""
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            known = isinstance(each, dict) and path.name != "kustomization.yaml" and not _is_patch(path)
            if known and (each["apiVersion"], each["kind"]) not in CRDS:
                validate(json.dumps(each, sort_keys=True))


class TestNames:
    def test_selectors_find_what_they_are_for(self, found: Cluster) -> None:
        for pod in found.pods:
            if "selector" in pod.workload["spec"]:
                assert fits(pod.workload["spec"]["selector"], pod.labels), pod.name
                others = [other for other in found.pods if fits(pod.workload["spec"]["selector"], other.labels)]
                assert [other.name for other in others if other.namespace == pod.namespace] == [pod.name]
        for each in found.of("PodDisruptionBudget"):
            assert any(fits(each["spec"]["selector"], pod.labels) for pod in found.pods), each["metadata"]["name"]
        for policy in found.of("NetworkPolicy"):
            if policy["metadata"]["name"] != "cluster-gateway":
                assert any(fits(policy["spec"]["podSelector"], pod.labels) for pod in found.pods), policy["metadata"]

    def test_services_lead_to_ports_that_there_are(self, found: Cluster) -> None:
        for service in found.of("Service"):
            pods = found.selected(service["metadata"]["namespace"], service["spec"]["selector"])
            assert len(pods) == 1, service["metadata"]["name"]
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in pods[0].ports
                assert port["port"] == pods[0].ports[port["targetPort"]] or pods[0].name == "devteam-gateway"

    def test_every_service_has_a_headless_one_beside_it(self, found: Cluster) -> None:
        names = {each["metadata"]["name"]: each["spec"].get("clusterIP") for each in found.of("Service")}
        for name in SETTINGS:
            assert (names[f"devteam-{name}"], names[f"devteam-{name}-headless"]) == (None, "None")

    def test_secrets_are_made_here_or_named_in_the_documentation(self, found: Cluster) -> None:
        made = {each["spec"]["secretName"] for each in found.of("Certificate")}
        made |= {each["metadata"]["name"] for each in found.of("Secret")}
        for pod in found.pods:
            for name, key in secrets_of(pod):
                assert name in made or f"create secret generic {name}" in PAGE, (pod.name, name)
                assert name in made or key in PAGE

    def test_gateways_and_routes_lead_to_services(self, found: Cluster) -> None:
        ports = {
            (each["metadata"]["name"], port["port"]) for each in found.of("Service") for port in each["spec"]["ports"]
        }
        for route in (*found.of("GRPCRoute"), *found.of("HTTPRoute")):
            for rule in route["spec"]["rules"]:
                for backend in rule.get("backendRefs", []):
                    assert (backend["name"], backend["port"]) in ports


class TestProcesses:
    def test_the_image_understands_every_command(self, found: Cluster) -> None:
        said = {pod.name: misunderstood(words) for pod in found.pods for _, words in ours(pod)}
        assert set(said.values()) == {""}, said

    def test_probes_ask_for_what_there_is(self, found: Cluster) -> None:
        for pod, container in each_container(found):
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                if "grpc" in probe:
                    assert probe["grpc"]["port"] in pod.ports.values()
                    assert _is_service(probe["grpc"].get("service", ""))
                if "httpGet" in probe:
                    assert probe["httpGet"]["port"] in pod.ports
                if (words := probe.get("exec", {}).get("command", [])) and words[0].startswith("devteam"):
                    assert misunderstood(words) == ""
                if words[:2] == ["devteam", "health"]:
                    assert words[2] == f"https://localhost:{pod.ports['grpc']}"
                    assert all(map(_is_service, words[3:]))
                    assert probe["timeoutSeconds"] >= 5

    def test_whoever_is_sent_work_says_when_it_is_ready(self, found: Cluster) -> None:
        for service in found.of("Service"):
            [pod] = found.selected(service["metadata"]["namespace"], service["spec"]["selector"])
            assert any("readinessProbe" in container for container in pod.spec["containers"]), pod.name

    def test_a_service_that_is_replaced_closes_no_door(self, found: Cluster) -> None:
        """All doors lead to the same Registry, of which there is one: they would close together."""
        [door] = found.pod("devteam-gateway").spec["containers"]
        asked = {kind: door[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert asked == {"startupProbe": "/readyz", "readinessProbe": "/healthz", "livenessProbe": "/healthz"}

    def test_pods_live_longer_than_their_leave_takes(self, found: Cluster) -> None:
        for pod in found.pods:
            for container, _ in ours(pod):
                hook = container.get("lifecycle", {}).get("preStop", {})
                before = hook.get("sleep", {}).get("seconds", 0)
                assert pod.spec.get("terminationGracePeriodSeconds", 30) >= before + LEAVE_TAKING, pod.name

    def test_nothing_is_called_latest(self, found: Cluster) -> None:
        for _, container in each_container(found):
            assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*(@sha256:[0-9a-f]{64})?", container["image"]), container[
                "image"
            ]


class TestConfinement:
    def test_containers_have_no_rights(self, found: Cluster) -> None:
        for pod, container in each_container(found):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (pod.name, container["name"])
            for bound in ("requests", "limits"):
                assert set(container["resources"][bound]) == {"cpu", "memory"}

    def test_pods_run_as_nobody_and_know_nothing_of_kubernetes(self, found: Cluster) -> None:
        for pod in found.pods:
            context = pod.spec["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context["runAsUser"] > 0
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod.spec["automountServiceAccountToken"] is False
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
            assert not any("hostPath" in volume for volume in pod.spec.get("volumes", []))

    def test_each_of_ours_has_an_account_of_its_own(self, found: Cluster) -> None:
        accounts = {_place(each): each for each in found.of("ServiceAccount")}
        for pod in found.pods:
            if list(ours(pod)):
                assert accounts[pod.namespace, pod.spec["serviceAccountName"]]["automountServiceAccountToken"] is False

    def test_namespaces_refuse_what_asks_for_more(self, found: Cluster) -> None:
        for each in found.of("Namespace"):
            assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_who_can_read_secrets_is_one_group(self, found: Cluster) -> None:
        for pod in found.pods:
            for volume in pod.spec.get("volumes", []):
                if "secret" in volume:
                    assert volume["secret"]["defaultMode"] == 0o440
                    assert pod.spec["securityContext"]["fsGroup"] == pod.spec["securityContext"]["runAsUser"]


class TestNumbers:
    def test_there_is_one_registry(self, found: Cluster) -> None:
        spec = found.one("Deployment", "devteam-registry")["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})

    def test_no_eviction_takes_all_of_a_kind(self, found: Cluster) -> None:
        budgets = found.of("PodDisruptionBudget")
        for name in ("devteam-registry", "devteam-router", "devteam-planner", "devteam-gateway", "devteam-worker"):
            pod = found.pod(name)
            [budget] = [each for each in budgets if fits(each["spec"]["selector"], pod.labels)]
            assert budget["metadata"]["namespace"] == pod.namespace

    def test_one_autoscaler_at_most_and_of_something(self, found: Cluster) -> None:
        scalers = [*found.of("HorizontalPodAutoscaler"), *found.of("ScaledObject")]
        assert len(scalers) <= 1
        for scaler in scalers:
            target = found.one("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
            assert target["metadata"]["namespace"] == scaler["metadata"]["namespace"]
            assert "replicas" not in target["spec"]

    def test_the_overlays_of_autoscalers_have_theirs(self) -> None:
        kinds = {
            name: [len(cluster(name).of(kind)) for kind in ("ScaledObject", "HorizontalPodAutoscaler")]
            for name in OVERLAYS
        }
        assert kinds == {name: [name == "keda", name == "hpa"] for name in OVERLAYS}


def _place(each: Any) -> tuple[str, str]:
    return each["metadata"].get("namespace", ""), each["metadata"]["name"]


def _is_service(name: str) -> bool:
    """Of the product or of Temporal; "" stands for a process as a whole."""
    if not name.startswith("devteam."):
        return name in {"", "temporal.api.workflowservice.v1.WorkflowService"}
    return bool(descriptor_pool.Default().FindServiceByName(name))


def _is_patch(path: Path) -> bool:
    """Whether a kustomization beside the file names it as one."""
    beside = yaml.safe_load((path.parent / "kustomization.yaml").read_text(encoding="utf-8"))
    return path.name in {patch.get("path") for patch in beside.get("patches", [])}
