"""deploy/k8s: the parts of a mesh find each other, are let through to each other, and believe each other."""

import re
from pathlib import Path
from typing import Any

import pytest
from devteam_cli.container import SERVICES, command_of

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from tests.fakes.cluster import Cluster, Pod, fits
from tests.fakes.deployed import SETTINGS, addresses, port_of, settings_of, unknown_variables, worker_settings
from tests.unit.deploy.rendered import OVERLAYS, cluster

WITH_TLS = ("prod", "keda", "hpa")
SEVERAL_ROUTERS = ("prod", "keda", "hpa", "linkerd", "istio")
SUFFIX = ".svc.cluster.local"
# Who has to reach whom: each edge, and the port by its name.
EDGES = [
    ("devteam-gateway", "devteam-registry", "grpc"),
    ("devteam-gateway", "devteam-router", "grpc"),
    ("devteam-gateway", "devteam-planner", "grpc"),
    ("devteam-router", "devteam-registry", "grpc"),
    ("devteam-router", "devteam-router", "grpc"),
    ("devteam-planner", "devteam-registry", "grpc"),
    ("devteam-planner", "devteam-router", "grpc"),
    ("devteam-worker", "devteam-gateway", "door"),
    ("devteam-page", "devteam-gateway", "door"),
]
# Who must not.
WALLS = [
    ("devteam-worker", "devteam-registry", "grpc"),
    ("devteam-worker", "devteam-planner", "grpc"),
    ("devteam-page", "devteam-planner", "grpc"),
    ("devteam-router", "devteam-planner", "grpc"),
    ("devteam-registry", "devteam-router", "grpc"),
    ("devteam-registry", "devteam-planner", "grpc"),
    ("devteam-migrate", "devteam-registry", "grpc"),
    ("devteam-gateway", "devteam-registry", "metrics"),
    ("devteam-planner", "devteam-planner", "grpc"),
]


@pytest.fixture(params=OVERLAYS)
def found(request: pytest.FixtureRequest) -> Cluster:
    return cluster(request.param)


def main_of(pod: Pod) -> Any:
    [container] = pod.spec["containers"]
    return container


def environment(found: Cluster, name: str) -> dict[str, str]:
    pod = found.pod(name)
    return found.environment(pod, main_of(pod))


def called(found: Cluster) -> list[tuple[str, str]]:
    """Addresses that somebody is told to call, with who is told."""
    return [
        (pod.name, address)
        for pod in found.pods
        for name, value in found.environment(pod, main_of(pod)).items()
        if re.search(r"(_ADDRESS|_URL|_ENDPOINT)$", name) and "postgresql" not in value
        for address in addresses(value)
    ]


def host_of(address: str) -> str:
    return re.sub(r"^https?://", "", address).partition(":")[0]


class TestEnvironment:
    @pytest.mark.parametrize("name", SERVICES)
    def test_the_service_takes_its_settings(self, found: Cluster, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = settings_of(name, environment(found, f"devteam-{name}"), monkeypatch)
        pod = found.pod(f"devteam-{name}")
        assert settings.keys
        assert (settings.port, settings.metrics_port) == (pod.ports["grpc"], pod.ports["metrics"])
        files = {settings.mesh_key_file, settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file} - {None}
        mounts = {mount["mountPath"] for mount in main_of(pod)["volumeMounts"]}
        assert {str(Path(str(file)).parent) for file in files} <= mounts

    def test_every_variable_is_read_by_somebody(self, found: Cluster) -> None:
        for pod in found.pods:
            container = main_of(pod)
            if "devteam-orchestrator" in container["image"]:
                words = [*container.get("command", []), *container.get("args", [])]
                told = found.environment(pod, container)
                assert unknown_variables(command_of(words)[0], told) == [], pod.name
                assert "$(" not in " ".join(told.values())

    def test_the_worker_takes_its_settings(self, found: Cluster) -> None:
        told = environment(found, "devteam-worker")
        assert worker_settings(told).worker_id == "devteam-worker-0"
        assert {"DEVTEAM_API_URL", "DEVTEAM_QUEUE", "DEVTEAM_CONCURRENCY", "DEVTEAM_API_KEY"} <= set(told)

    def test_files_that_are_named_are_mounted(self, found: Cluster) -> None:
        for pod in found.pods:
            for container in pod.spec["containers"]:
                mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
                for name, value in found.environment(pod, container).items():
                    if name.endswith("_FILE"):
                        assert str(Path(value).parent) in mounts, (pod.name, name)


class TestAddresses:
    def test_everybody_calls_where_somebody_listens(self, found: Cluster) -> None:
        services = {each["metadata"]["name"]: each for each in found.of("Service")}
        assert len(called(found)) >= 5
        for who, address in called(found):
            *pod, name, namespace = host_of(address).removesuffix(SUFFIX).split(".")
            if namespace not in {"devteam", "workers"}:
                continue
            service = services[name]
            scheme = {"http": 80, "https": 443}[address.partition(":")[0]] if "://" in address else 0
            port = port_of(address) if re.search(r":\d+$", address) else scheme
            assert port in {each["port"] for each in service["spec"]["ports"]}, (who, address)
            for one in pod:
                [behind] = found.selected(namespace, service["spec"]["selector"])
                assert one in {f"{behind.name}-{n}" for n in range(behind.workload["spec"]["replicas"])}

    @pytest.mark.parametrize("overlay", SEVERAL_ROUTERS)
    def test_each_router_is_known_by_the_name_it_goes_by(self, overlay: str) -> None:
        found = cluster(overlay)
        routers = found.pod("devteam-router").workload["spec"]
        told = environment(found, "devteam-planner")["DEVTEAM_PLANNER_ROUTER_ADDRESS"].split(",")
        advertised = environment(found, "devteam-router")["DEVTEAM_ROUTER_ADVERTISED_ADDRESS"]
        assert told == [advertised.replace("router-0.", f"router-{n}.") for n in range(routers["replicas"])]
        assert f".{routers['serviceName']}." in advertised

    def test_the_door_is_told_where_the_services_are(self, found: Cluster) -> None:
        [config] = found.pod("devteam-gateway").spec["initContainers"]
        said = dict(word[2:].split("=") for word in config["args"] if "=" in word)
        for name in SERVICES:
            host, port = said[name].split(":")
            assert re.fullmatch(rf"devteam-{name}(-headless)?\.devteam{re.escape(SUFFIX)}", host)
            assert int(port) == SETTINGS[name].model_fields["port"].default
        assert port_of(said["listen"]) == found.pod("devteam-gateway").ports["door"]

    @pytest.mark.parametrize("overlay", ["linkerd", "istio"])
    def test_a_service_mesh_balances_itself(self, overlay: str) -> None:
        [config] = cluster(overlay).pod("devteam-gateway").spec["initContainers"]
        assert "headless" not in " ".join(config["args"])

    def test_no_service_mesh_puts_a_proxy_beside_the_migration(self, found: Cluster) -> None:
        meta = found.pod("devteam-migrate").workload["spec"]["template"]["metadata"]
        assert meta["labels"]["sidecar.istio.io/inject"] == "false"
        assert meta["annotations"]["linkerd.io/inject"] == "disabled"


class TestPolicies:
    @pytest.mark.parametrize(("caller", "other", "port"), EDGES)
    def test_who_has_to_reach_whom_does(self, found: Cluster, caller: str, other: str, port: str) -> None:
        assert found.may_call(found.pod(caller), found.pod(other), port)

    @pytest.mark.parametrize(("caller", "other", "port"), WALLS)
    def test_nobody_else_does(self, found: Cluster, caller: str, other: str, port: str) -> None:
        assert not found.may_call(found.pod(caller), found.pod(other), port)

    def test_workers_reach_routers_where_there_are_several(self, found: Cluster) -> None:
        several = found.pod("devteam-router").workload["spec"]["replicas"] > 1
        assert found.may_call(found.pod("devteam-worker"), found.pod("devteam-router"), "grpc") is several

    def test_the_world_reaches_the_door_alone(self, found: Cluster) -> None:
        for pod in found.pods:
            for port in pod.ports:
                assert found.may_call("anywhere", pod, port) is ((pod.name, port) == ("devteam-gateway", "door"))

    @pytest.mark.parametrize(
        ("name", "port"), [("registry", 5432), ("planner", 5432), ("planner", 7233), ("migrate", 5432)]
    )
    def test_databases_and_temporal_are_reached_wherever_they_are(self, found: Cluster, name: str, port: int) -> None:
        assert found.leaves(found.pod(f"devteam-{name}"), port)

    def test_those_of_dev_are_let_in(self) -> None:
        found = cluster("dev")
        for caller, other, port in [
            ("devteam-registry", "postgres", "sql"),
            ("devteam-planner", "postgres", "sql"),
            ("devteam-migrate", "postgres", "sql"),
            ("devteam-planner", "temporal", "grpc"),
        ]:
            assert found.may_call(found.pod(caller), found.pod(other), port), (caller, other)
        assert not found.may_call(found.pod("devteam-router"), found.pod("postgres"), "sql")

    def test_prometheus_and_keda_are_let_in_where_they_are_used(self, found: Cluster) -> None:
        assert found.may_call("monitoring", found.pod("devteam-router"), "metrics") is bool(found.of("ServiceMonitor"))
        assert found.may_call("keda", found.pod("devteam-router"), "grpc") is bool(found.of("ScaledObject"))

    def test_nothing_is_allowed_that_is_not_said(self, found: Cluster) -> None:
        for namespace in ("devteam", "workers"):
            [wall] = [
                each["spec"] for each in found.of("NetworkPolicy")
                if (each["metadata"]["name"], each["metadata"]["namespace"]) == ("nothing-else", namespace)
            ]  # fmt: skip
            assert wall == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


class TestTls:
    @pytest.mark.parametrize("overlay", WITH_TLS)
    def test_all_that_is_called_inside_is_called_by_a_name_that_its_certificate_has(self, overlay: str) -> None:
        found = cluster(overlay)
        certificates = {each["metadata"]["name"]: each["spec"] for each in found.of("Certificate")}
        secured = [address for _, address in called(found) if ".devteam.svc" in address]
        assert len(secured) >= 6
        for address in secured:
            assert address.startswith("https://"), address
            host = host_of(address)
            name = re.search(r"devteam-(registry|router|planner|gateway)", host)[0]  # type: ignore[index]  # it has one
            wildcard = "*." + host.partition(".")[2]
            assert {host, wildcard} & set(certificates[name]["dnsNames"]), host
        for name in SERVICES:
            # For the probes.
            assert "localhost" in certificates[f"devteam-{name}"]["dnsNames"]

    @pytest.mark.parametrize("overlay", WITH_TLS)
    def test_nothing_is_told_to_go_without(self, overlay: str) -> None:
        found = cluster(overlay)
        for name in SERVICES:
            told = environment(found, f"devteam-{name}")
            assert f"DEVTEAM_{name.upper()}_INSECURE" not in told
            assert told[f"DEVTEAM_{name.upper()}_TLS_CERT_FILE"].endswith("/tls.crt")
        [config] = found.pod("devteam-gateway").spec["initContainers"]
        assert "--insecure-i-know" not in config["args"]
        assert any(word.startswith("--upstream-ca=") for word in config["args"])

    @pytest.mark.parametrize("overlay", ["linkerd", "istio"])
    def test_who_goes_without_has_a_mesh_that_does_it(self, overlay: str) -> None:
        """Plain text inside, keys as everywhere, and a policy that takes nothing but what the mesh encrypted."""
        found = cluster(overlay)
        for name in SERVICES:
            told = environment(found, f"devteam-{name}")
            assert (told[f"DEVTEAM_{name.upper()}_INSECURE"], told[f"DEVTEAM_{name.upper()}_KEYS"]) == ("true", "true")
            if overlay == "linkerd":
                notes = found.pod(f"devteam-{name}").workload["spec"]["template"]["metadata"]["annotations"]
                assert notes["config.linkerd.io/default-inbound-policy"] == "cluster-authenticated"
                assert found.one("Server", f"devteam-{name}")["spec"]["port"] == "grpc"
            else:
                policy = found.one("AuthorizationPolicy", f"devteam-{name}")["spec"]
                assert fits(policy["selector"], found.pod(f"devteam-{name}").labels)
        if overlay == "istio":
            assert {each["spec"]["mtls"]["mode"] for each in found.of("PeerAuthentication")} == {"STRICT"}

    def test_keda_shows_a_certificate_that_the_routers_take_for_an_operators(self) -> None:
        found = cluster("keda")
        told = environment(found, "devteam-router")
        assert told["DEVTEAM_ROUTER_TLS_CLIENT_CERTS"] == "true"
        certificate = found.one("Certificate", "devteam-keda")
        assert certificate["spec"]["uris"][0] in told["DEVTEAM_ROUTER_IDENTITIES"]
        shown = found.one("TriggerAuthentication", "devteam-router")
        assert {each["name"] for each in shown["spec"]["secretTargetRef"]} == {certificate["spec"]["secretName"]}
        [trigger] = found.one("ScaledObject", "devteam-worker")["spec"]["triggers"]
        assert trigger["authenticationRef"]["name"] == shown["metadata"]["name"]
        assert Role.OPERATOR in RULES["/externalscaler.ExternalScaler/GetMetrics"].roles

    def test_where_routers_ask_for_certificates_everybody_who_calls_them_has_one(self) -> None:
        found = cluster("keda")
        assert "DEVTEAM_CERT_FILE" in environment(found, "devteam-worker")
        assert "DEVTEAM_CERT_FILE" in environment(found, "devteam-router")
        assert "DEVTEAM_PLANNER_TLS_CERT_FILE" in environment(found, "devteam-planner")
        [config] = found.pod("devteam-gateway").spec["initContainers"]
        assert any(word.startswith("--upstream-cert=") for word in config["args"])
        for name in ("devteam-worker", "devteam-planner", "devteam-router", "devteam-gateway-client"):
            assert "client auth" in found.one("Certificate", name)["spec"]["usages"]


def test_routes_are_the_public_methods_and_no_others() -> None:
    routed = {
        f"/{match['method']['service']}/{match['method']['method']}"
        for route in cluster("istio").of("GRPCRoute")
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    }
    public = {path for path, rule in RULES.items() if path.startswith("/devteam.v1.") and rule.roles != {Role.SERVICE}}
    # Spans stay in the cluster's collector.
    assert routed == {path for path in public if "TraceService" not in path}
