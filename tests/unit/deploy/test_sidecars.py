"""deploy/k8s under a service mesh: what a proxy beside each process must do, and must not do."""

import json
from typing import Any

import pytest

from tests.fakes.cluster import Pod
from tests.unit.deploy.rendered import cluster

MESHES = ("linkerd", "istio")


def annotations_of(pod: Pod) -> dict[str, str]:
    found: dict[str, str] = pod.workload["spec"]["template"]["metadata"].get("annotations", {})
    return found


def grace_of(pod: Pod) -> int:
    return int(pod.spec.get("terminationGracePeriodSeconds", 30))


def proxy_stays(pod: Pod) -> int:
    """Seconds that the proxy goes on for, once the pod is told to end."""
    said = annotations_of(pod)
    if said.get("sidecar.istio.io/nativeSidecar") == "true":
        # Kubernetes ends it after the containers that it serves.
        return grace_of(pod)
    if waits := said.get("config.alpha.linkerd.io/proxy-wait-before-exit-seconds"):
        return int(waits)
    config: dict[str, Any] = json.loads(said.get("proxy.istio.io/config", "{}"))
    return int(config.get("terminationDrainDuration", "5s").removesuffix("s"))


class TestLeaving:
    @pytest.mark.parametrize("overlay", MESHES)
    def test_a_proxy_stays_for_as_long_as_its_worker_drains(self, overlay: str) -> None:
        worker = cluster(overlay).pod("devteam-worker")
        [container] = worker.spec["containers"]
        told = {each["name"]: each.get("value") for each in container["env"]}
        drains = int(told["DEVTEAM_DRAIN_DEADLINE_MS"]) / 1000
        assert drains < proxy_stays(worker) <= grace_of(worker)

    def test_no_pod_waits_for_a_proxy_that_nobody_needs_any_more(self) -> None:
        """Of the Registry there is one: the next one starts when the proxy of the last one has gone."""
        found = cluster("istio")
        for name in ("registry", "router", "planner", "gateway", "page", "worker"):
            pod = found.pod(f"devteam-{name}")
            assert annotations_of(pod)["sidecar.istio.io/nativeSidecar"] == "true"
            assert "terminationDrainDuration" not in annotations_of(pod).get("proxy.istio.io/config", "")


class TestTrafficOfIstio:
    """By itself Istio tries calls again that were refused, cut off or answered UNAVAILABLE: twice, and also creates."""

    def test_every_service_is_called_once_and_for_as_long_as_it_takes(self) -> None:
        found = cluster("istio")
        routes = {host: each["spec"]["http"] for each in found.of("VirtualService") for host in each["spec"]["hosts"]}
        assert len(routes) == len(found.of("VirtualService"))
        for service in found.of("Service"):
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            # One that is headless stands for the names of its pods, too.
            host = f"{name}.{namespace}.svc.cluster.local"
            [route] = routes.pop(host)
            port = service["spec"]["ports"][0]["port"]
            assert route["route"] == [{"destination": {"host": host, "port": {"number": port}}}]
            assert route["match"] == [{"port": port}], "what is asked for at another port is not sent here"
            assert (route["retries"], route["timeout"]) == ({"attempts": 0}, "0s")
        assert routes == {}

    def test_the_gateway_tries_nothing_again_either(self) -> None:
        """Routes of the Gateway API are none of a VirtualService."""
        found = cluster("istio")
        [wanted] = found.of("EnvoyFilter")
        gateway = found.one("Gateway", "devteam")["metadata"]
        assert wanted["metadata"]["namespace"] == gateway["namespace"]
        selected = wanted["spec"]["workloadSelector"]["labels"]
        assert selected == {"gateway.networking.k8s.io/gateway-name": gateway["name"]}
        [patch] = wanted["spec"]["configPatches"]
        assert (patch["applyTo"], patch["match"]["context"]) == ("HTTP_ROUTE", "GATEWAY")
        # Merging a number of 0 into what Istio wrote changes nothing; a reason that never comes up does.
        assert patch["patch"]["value"] == {"route": {"retry_policy": {"retry_on": "retriable-headers"}}}
