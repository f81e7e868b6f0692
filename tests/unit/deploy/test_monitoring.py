"""deploy/k8s/components/monitoring: what Prometheus asks for, and under which names it keeps that."""

from collections import Counter
from typing import Any

import pytest
from devteam_cli.container import SERVICES
from ruamel.yaml import YAML

from scripts.locked import ROOT
from tests.fakes.cluster import fits
from tests.unit.deploy.rendered import cluster

WATCHED = ("prod", "keda", "hpa", "linkerd", "istio")
SCRAPE = YAML(typ="safe").load(ROOT / "deploy" / "prometheus" / "scrape.yaml")


def asked(overlay: str) -> list[tuple[str, str, Any, Any]]:
    """What is scraped: the job, where the pods are, the Service's port, and the monitor's word on it."""
    found = cluster(overlay)
    return [
        (service["metadata"]["labels"][monitor["spec"]["jobLabel"]], service["metadata"]["namespace"], port, endpoint)
        for monitor in found.of("ServiceMonitor")
        for service in found.of("Service")
        if service["metadata"]["namespace"] == monitor["metadata"]["namespace"]
        and fits(monitor["spec"]["selector"], service["metadata"]["labels"])
        for port in service["spec"]["ports"]
        for endpoint in monitor["spec"]["endpoints"]
        if endpoint["port"] == port["name"]
    ]


@pytest.mark.parametrize("overlay", WATCHED)
def test_each_process_is_asked_once(overlay: str) -> None:
    """Twice would be twice the queue to an autoscaler, since its query adds up."""
    jobs = Counter(job for job, *_ in asked(overlay))
    assert jobs == {f"devteam-{name}": 1 for name in SERVICES}
    assert cluster(overlay).of("PodMonitor") == []


@pytest.mark.parametrize("overlay", WATCHED)
def test_it_is_asked_where_it_tells(overlay: str) -> None:
    for job, _, port, endpoint in asked(overlay):
        assert (port["targetPort"], endpoint["path"]) == ("metrics", "/metrics")
        assert port["port"] == cluster(overlay).pod(job).ports["metrics"]


@pytest.mark.parametrize("overlay", WATCHED)
def test_each_pod_stands_for_itself(overlay: str) -> None:
    """Behind one address they would take turns, and what one of several Routers holds be taken for all."""
    found = cluster(overlay)
    for service in found.of("Service"):
        if any(port["name"] == "metrics" for port in service["spec"]["ports"]):
            assert service["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("overlay", WATCHED)
def test_jobs_are_those_that_alerts_look_for_and_as_fresh(overlay: str) -> None:
    known = {job["job_name"]: job["scrape_interval"] for job in SCRAPE["scrape_configs"]}
    for job, _, _, endpoint in asked(overlay):
        assert endpoint["interval"] == known[job]
        assert endpoint.get("honorLabels", False) is False
