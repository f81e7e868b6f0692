"""The house rules that a machine can keep."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("devteam", "devteam_registry", "devteam_router", "devteam_planner", "devteam_worker", "devteam_cli")
SERVICES = ("devteam_registry", "devteam_router", "devteam_planner", "devteam_worker")
WIRE = ("grpc", "google", "sqlalchemy", "alembic", "temporalio", "devteam.v1", "devteam.keda")

# Where a service meets the outside. Everything else in it is domain, and knows nothing of these libraries.
ADAPTERS = {
    "": ("", "__main__", "app", "convert", "settings"),
    "devteam_registry": (
        *("servicer", "keys.servicer"),
        *("store.sql", "store.sql_keys", "store.rows", "store.key_rows", "store.migrations"),
    ),
    "devteam_router": ("servicer", "scaling.servicer", "registry_client", "peer_client"),
    "devteam_planner": (
        *("servicer", "router_client", "workflows", "workflow_runner", "activities", "temporal"),
        *("store.rows", "store.tables", "store.statements", "store.sql_plans", "store.sql_tokens", "store.migrations"),
        *("store.sql_overview", "store.overview_statements", "store.listings"),
        *("store.sql_erasure", "store.rotation"),
    ),
    "devteam_worker": ("link", "registration", "cli", "join_command", "worker", "doctor"),
}
EVERY_SERVICE_HAS = ("__main__", "app", "settings", "convert", "domain")


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True)


def is_adapter(service: str, module: str) -> bool:
    inner = module.removeprefix(service).removeprefix(".")
    names = (*ADAPTERS[""], *ADAPTERS[service])
    return any(inner == name or (name and inner.startswith(f"{name}.")) for name in names)


@pytest.mark.parametrize("service", SERVICES)
def test_the_domain_of_a_service_reaches_no_wire_and_no_database(service: str) -> None:
    domain = [module for module in graph().modules if module.split(".")[0] == service]
    chains = [
        chain
        for module in domain
        if not is_adapter(service, module)
        for library in WIRE
        if library in graph().modules
        and (chain := graph().find_shortest_chain(importer=module, imported=library)) is not None
    ]
    assert chains == []
    assert len(domain) > len(EVERY_SERVICE_HAS)
    assert {"grpc", "google", "sqlalchemy", "temporalio"} <= graph().modules


@pytest.mark.parametrize("service", SERVICES)
def test_the_rooms_have_the_same_names_in_every_service(service: str) -> None:
    missing = [name for name in EVERY_SERVICE_HAS if f"{service}.{name}" not in graph().modules]
    assert missing == []


def test_only_composition_roots_name_concrete_stores() -> None:
    stores = [module for module in graph().modules if ".store.sql" in module or module.endswith(".store.memory")]
    importers = {importer for store in stores for importer in graph().find_modules_that_directly_import(store)}
    assert {importer for importer in importers if not importer.endswith(".app") and ".store" not in importer} == set()


def test_a_router_starts_without_the_libraries_of_those_who_have_a_database() -> None:
    script = "import sys, devteam_router.app; print(sorted({'sqlalchemy', 'alembic', 'temporalio'} & set(sys.modules)))"
    said = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_imports_run_one_way() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_no_source_file_is_longer_than_400_lines() -> None:
    sources = [path for folder in ("devteam", "services", "cli") for path in (ROOT / folder).rglob("*.py")]
    long = [str(path.relative_to(ROOT)) for path in sources if "v1" not in path.parts and _lines(path) > 400]
    assert long == []


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
