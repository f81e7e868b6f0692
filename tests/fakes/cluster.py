"""Kubernetes' objects as an overlay renders them, and what they mean for each other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]
_REFERENCE = re.compile(r"\$\(([A-Za-z0-9_]+)\)")
# What stands in for a secret's value, by its key.
_SECRETS = {"url": "postgresql+psycopg://devteam:secret@db.example/devteam", "api-key": "key", "password": "secret"}


@dataclass(frozen=True, slots=True)
class Pod:
    """What one workload makes."""

    workload: Any

    @property
    def name(self) -> str:
        """Of its workload."""
        return str(self.workload["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return str(self.workload["metadata"]["namespace"])

    @property
    def labels(self) -> Labels:
        """What others find it by."""
        found: Labels = self.workload["spec"]["template"]["metadata"]["labels"]
        return found

    @property
    def spec(self) -> Any:
        """As its template says it."""
        return self.workload["spec"]["template"]["spec"]

    @property
    def containers(self) -> list[Any]:
        """All of them, the ones that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """The numbers of its ports, by their names."""
        return {port["name"]: port["containerPort"] for each in self.containers for port in each.get("ports", [])}


class Cluster:
    """All objects of one overlay."""

    def __init__(self, objects: Sequence[Any]) -> None:
        self.objects = objects

    def of(self, kind: str) -> list[Any]:
        """All of one kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str) -> Any:
        """The one of this name. Raises ValueError when there is none, or are several."""
        [found] = [each for each in self.of(kind) if each["metadata"]["name"] == name]
        return found

    @property
    def pods(self) -> list[Pod]:
        """One for each workload."""
        return [Pod(each) for each in self.objects if each["kind"] in {"Deployment", "StatefulSet", "Job"}]

    def pod(self, name: str) -> Pod:
        """That of the workload called `name`."""
        [found] = [pod for pod in self.pods if pod.name == name]
        return found

    def selected(self, namespace: str, selector: Labels) -> list[Pod]:
        """The pods that a Service with this selector stands for."""
        return [pod for pod in self.pods if pod.namespace == namespace and selector.items() <= pod.labels.items()]

    def environment(self, pod: Pod, container: Any) -> dict[str, str]:
        """What a container finds in its environment. Raises KeyError for a reference to what is not set before it."""
        env: dict[str, str] = {}
        for source in container.get("envFrom", []):
            env |= self.one("ConfigMap", source["configMapRef"]["name"]).get("data", {})
        told: dict[str, str] = {}
        for entry in container.get("env", []):
            value = self._value(entry, pod)
            # Kubernetes leaves what it does not know as it stands there.
            told[entry["name"]] = _REFERENCE.sub(lambda found: told[found[1]], value)
        return env | told

    def _value(self, entry: Any, pod: Pod) -> str:
        if "value" in entry:
            return str(entry["value"])
        source = entry["valueFrom"]
        if "secretKeyRef" in source:
            return _SECRETS[source["secretKeyRef"]["key"]]
        if "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            return str(self.one("ConfigMap", reference["name"])["data"][reference["key"]])
        assert source["fieldRef"]["fieldPath"] == "metadata.name"
        return f"{pod.name}-0"

    def may_call(self, caller: Pod | str, called: Pod, port: str) -> bool:
        """Whether policies let `caller`, a pod or the name of a namespace, reach a port of `called`."""
        leaves = isinstance(caller, str) or self._lets_out(caller, called, called.ports[port])
        return leaves and self._lets_in(caller, called, port)

    def leaves(self, caller: Pod, port: int) -> bool:
        """Whether policies let `caller` out to this port, wherever that is."""
        return any(
            "to" not in rule and _names(rule, port, "")
            for policy in self._policies(caller, "Egress")
            for rule in policy["spec"].get("egress", [])
        )

    def _lets_out(self, caller: Pod, called: Pod, port: int) -> bool:
        policies = self._policies(caller, "Egress")
        return not policies or any(
            _names(rule, port, "") and _peers(rule.get("to"), caller.namespace, called.namespace, called.labels)
            for policy in policies
            for rule in policy["spec"].get("egress", [])
        )

    def _lets_in(self, caller: Pod | str, called: Pod, port: str) -> bool:
        namespace, labels = (caller, {}) if isinstance(caller, str) else (caller.namespace, caller.labels)
        policies = self._policies(called, "Ingress")
        return not policies or any(
            _names(rule, called.ports[port], port) and _peers(rule.get("from"), called.namespace, namespace, labels)
            for policy in policies
            for rule in policy["spec"].get("ingress", [])
        )

    def _policies(self, pod: Pod, kind: str) -> list[Any]:
        return [
            policy
            for policy in self.of("NetworkPolicy")
            if policy["metadata"]["namespace"] == pod.namespace
            and kind in policy["spec"]["policyTypes"]
            and fits(policy["spec"]["podSelector"], pod.labels)
        ]


def fits(selector: Any, labels: Labels) -> bool:
    """Whether a selector with labels or expressions fits."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return bool(wanted) and all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )


def _names(rule: Any, port: int, name: str) -> bool:
    return "ports" not in rule or any(each["port"] in {port, name} for each in rule["ports"])


def _peers(peers: Any, own: str, namespace: str, labels: Labels) -> bool:
    return peers is None or any(_peer(peer, own, namespace, labels) for peer in peers)


def _peer(peer: Any, own: str, namespace: str, labels: Labels) -> bool:
    if "ipBlock" in peer:
        return False
    here = {"kubernetes.io/metadata.name": namespace}
    there = fits(peer["namespaceSelector"], here) if "namespaceSelector" in peer else namespace == own
    return there and fits(peer.get("podSelector", {}), labels)


def secrets_of(pod: Pod) -> Iterator[tuple[str, str]]:
    """Secrets that a pod names, each with a key in it; "" for all keys."""
    for container in pod.containers:
        for entry in container.get("env", []):
            if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"], reference["key"]
    for volume in pod.spec.get("volumes", []):
        if "secret" in volume:
            yield volume["secret"]["secretName"], ""
