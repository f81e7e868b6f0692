"""deploy/k8s: the services know who called the door, and believe nobody else about it."""

import pytest
from devteam_cli.container import SERVICES

from devteam.mesh.access.peer import Proxies
from tests.fakes.deployed import settings_of
from tests.unit.deploy.rendered import OVERLAYS, cluster

CALLER, INVENTED = "192.0.2.7", "198.51.100.1"
# Where the services see the door's calls come from: its pod; with Linkerd the proxy in their own pod, which calls from
# that pod's address, or from its loopback one; with Istio such a proxy, too, and always from the same address.
DOORS = {
    "dev": ["10.1.2.3"],
    "prod": ["10.1.2.3"],
    "keda": ["10.1.2.3"],
    "hpa": ["10.1.2.3"],
    "linkerd": ["10.1.2.3", "127.0.0.1"],
    "istio": ["127.0.0.6"],
}
EACH = [(overlay, name) for overlay in OVERLAYS for name in SERVICES]


@pytest.fixture
def trusted(overlay: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Proxies:
    found = cluster(overlay)
    pod = found.pod(f"devteam-{name}")
    told = found.environment(pod, pod.spec["containers"][0])
    return Proxies(tuple(settings_of(name, told, monkeypatch).trusted_proxies))


@pytest.mark.parametrize(("overlay", "name"), EACH)
def test_the_door_is_believed(trusted: Proxies, overlay: str) -> None:
    """All strangers that join would share one limit otherwise, and one of them could lock out all others."""
    for door in DOORS[overlay]:
        assert trusted.origin(f"ipv4:{door}:50000", CALLER) == CALLER


@pytest.mark.parametrize(("overlay", "name"), EACH)
def test_the_world_is_not(trusted: Proxies, overlay: str) -> None:
    assert trusted.origin(f"ipv4:{CALLER}:50000", INVENTED) == CALLER
    for door in DOORS[overlay]:
        assert trusted.origin(f"ipv4:{door}:50000", f"{INVENTED}, {CALLER}") == CALLER


@pytest.mark.parametrize(("overlay", "name"), [each for each in EACH if each[0] == "istio"])
def test_who_has_a_private_address_makes_up_no_other(trusted: Proxies) -> None:
    """Istio's Gateway adds to what callers say themselves: what stands before its own word is theirs."""
    for private in ("10.0.3.4", "172.16.0.9", "192.168.1.2"):
        assert trusted.origin("ipv4:127.0.0.6:50000", f"{INVENTED}, {private}") == private


def test_istios_gateway_sees_who_calls_it() -> None:
    """Behind nodes that hide their callers, all would be one of a few."""
    found = cluster("istio")
    reference = found.one("Gateway", "devteam")["spec"]["infrastructure"]["parametersRef"]
    assert (reference["group"], reference["kind"]) == ("", "ConfigMap")
    assert "externalTrafficPolicy: Local" in found.one("ConfigMap", reference["name"])["data"]["service"]
