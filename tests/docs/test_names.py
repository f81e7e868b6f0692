"""What pages call metrics, variables and commands, they are called."""

import re

import pytest
from devteam_planner.settings import Settings as PlannerSettings
from devteam_registry.settings import Settings as RegistrySettings
from devteam_router.settings import Settings as RouterSettings
from devteam_worker.settings_layers import ENVIRONMENT

from devteam.mesh.metrics.catalog import CATALOG
from devteam.mesh.settings import ServiceSettings, variable
from tests.docs.blocks import pages, text_of
from tests.e2e.programs import REPOSITORY
from tests.fakes.deployed import misunderstood

_SERVICES: tuple[type[ServiceSettings], ...] = (RegistrySettings, RouterSettings, PlannerSettings)
# A histogram's series, and what is left where a page writes `devteam_queue_...` or names a file.
_SERIES = ("_bucket", "_sum", "_count")


@pytest.mark.parametrize("page", pages())
def test_metrics(page: str) -> None:
    known = {metric.exposed for metric in CATALOG}
    named = set(re.findall(r"`(devteam_[a-z_]+[a-z])(?:\{[^`]*\})?`", text_of(page)))
    packages = {path.name for path in REPOSITORY.glob("**/devteam_*") if path.is_dir()}
    assert {name for name in named if _whole(name) not in known} - packages == set()


@pytest.mark.parametrize("page", pages())
def test_variables(page: str) -> None:
    named = set(re.findall(r"\b(DEVTEAM_[A-Z_]+[A-Z])\b(?![_*{])", text_of(page)))
    assert named - _of_services() - set(ENVIRONMENT) - _in_code() == set()


@pytest.mark.parametrize("page", pages())
def test_commands(page: str) -> None:
    """Those within sentences; the ones in blocks are run."""
    named = re.findall(r"`(devteam(?:-worker)?\s[^`]+)`", text_of(page))
    said = {command: misunderstood([word for word in command.split() if word != "..."]) for command in named}
    assert {command: wrong for command, wrong in said.items() if wrong} == {}


def _whole(name: str) -> str:
    return next((name.removesuffix(series) for series in _SERIES if name.endswith(series)), name)


def _of_services() -> set[str]:
    return {
        variable(str(settings.model_config.get("env_prefix", "")), field)
        for settings in _SERVICES
        for field in settings.model_fields
    }


def _in_code() -> set[str]:
    """Those that are read by name, and not by way of settings."""
    folders = ("devteam", "cli", "services")
    programs = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    texts = (path.read_text(encoding="utf-8") for path in (*programs, *REPOSITORY.glob("examples/*/*.mjs")))
    return {name for text in texts for name in re.findall(r"\bDEVTEAM_[A-Z_]+[A-Z]\b", text)}
