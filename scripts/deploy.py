"""What deploy/ holds that is made of something else: written anew, or compared with what is committed.

python -m scripts.deploy generate | check
"""

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES
from scripts.locked import PROJECT, ROOT, image_needs, locked, needs_of
from scripts.sbom import bom

_MADE_BY = "Made by `python -m scripts.deploy generate`."


def requirements() -> str:
    """The lock's lines of what the image needs."""
    said = "What the container image installs: the part of requirements.lock that services, workers and the page need."
    return _pinned(said, image_needs())


def build_requirements() -> str:
    """The lock's lines of what builds the project's own wheel."""
    return _pinned(
        "What the image's wheel of this project is built with, out of requirements.lock.", needs_of("hatchling")
    )


def _pinned(said: str, names: Iterable[str]) -> str:
    pins = locked()
    lines = "".join(f"{pins[name].lines}\n" for name in names if name != PROJECT)
    return f"# {said}\n# {_MADE_BY}\n{lines}"


def sbom() -> str:
    """The image's bill of materials."""
    return bom(locked(), image_needs())


def prometheus_rule() -> str:
    """The alerts, as the Prometheus operator takes them."""
    rules = _yaml().load(ROOT / "deploy" / "prometheus" / "rules.yaml")
    labels = {"app.kubernetes.io/part-of": "devteam"}
    return _manifest(
        "The alerts of deploy/prometheus/rules.yaml.",
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "devteam", "namespace": "devteam", "labels": labels},
            "spec": {"groups": rules["groups"]},
        },
    )


def grpc_routes() -> str:
    """Every method that others than services may call, to the service that answers it."""
    said = "Every public method of the contracts, as devteam/mesh/access/rules.py knows them, and no other."
    return _manifest(said, *(_route(*each) for each in _SERVED))


def _route(name: str, backend: str, port: int, kinds: Sequence[str]) -> dict[str, Any]:
    matches = [{"method": match} for kind in kinds for match in _methods(f"devteam.v1.{kind}")]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GRPCRoute",
        "metadata": {"name": name, "namespace": "devteam"},
        "spec": {
            "parentRefs": [{"name": "devteam", "sectionName": "grpc"}],
            "hostnames": ["grpc.mesh.example.com"],
            "rules": [{"matches": matches, "backendRefs": [{"name": backend, "port": port}]}],
        },
    }


def _methods(service: str) -> list[dict[str, str]]:
    rules = {path.rpartition("/")[2]: rule for path, rule in RULES.items() if path.startswith(f"/{service}/")}
    return [{"service": service, "method": method} for method, rule in rules.items() if rule.roles != {Role.SERVICE}]


def _manifest(said: str, *documents: object) -> str:
    text = io.StringIO()
    _yaml().dump_all(documents, text)
    return f"# {said}\n# {_MADE_BY}\n{text.getvalue()}"


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


# Routes, and which process answers which services of the contracts. Workers' streams have one of their own: whoever
# limits how long calls last can spare it.
_SERVED = (
    ("devteam-planner", "devteam-planner", 7403, ["PlannerService"]),
    ("devteam-registry", "devteam-registry", 7401, ["RegistryService", "AccessService"]),
    ("devteam-router", "devteam-router", 7402, ["RouterService"]),
    ("devteam-workers", "devteam-router", 7402, ["WorkerService"]),
)
MADE: Mapping[str, Callable[[], str]] = {
    "deploy/requirements.txt": requirements,
    "deploy/requirements-build.txt": build_requirements,
    "deploy/sbom.cdx.json": sbom,
    "deploy/k8s/components/monitoring/prometheusrule.yaml": prometheus_rule,
    "deploy/k8s/components/gateway-api/grpcroutes.yaml": grpc_routes,
}


def stale() -> list[str]:
    """The files that are not what they would be if they were made now."""
    return [name for name, make in MADE.items() if _read(ROOT / name) != make()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(command: str) -> int:
    """Carry out one command; the exit code says whether all is well."""
    match command:
        case "generate":
            for name, make in MADE.items():
                (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
                (ROOT / name).write_text(make(), encoding="utf-8")
            return 0
        case "check":
            if found := stale():
                print(f"stale: {', '.join(found)}; run `python -m scripts.deploy generate`", file=sys.stderr)
            return bool(found)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
