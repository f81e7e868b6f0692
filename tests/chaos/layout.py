"""Which services a mesh has, where each of them listens, and what it is told."""

import json
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from devteam_cli.ports import free_port
from devteam_cli.temporal_server import _binary, _command

from tests.e2e.programs import REPOSITORY, environment

# What the health service calls them.
SERVICES = {
    "temporal": "temporal.api.workflowservice.v1.WorkflowService",
    "registry": "devteam.v1.RegistryService",
    "router": "devteam.v1.RouterService",
    "planner": "devteam.v1.PlannerService",
}
_SECOND = "router-2"


class Routers(Enum):
    """How many there are, and who reaches the first of them over the relay."""

    ONE = "one, its workers over the relay"
    PAIR = "two, nobody over the relay"
    RELAYED_PAIR = "two, the Planner to the first over the relay"


class Layout:
    """Addresses and environments. `env` is added to the environment of every process, its files are in `folder`."""

    def __init__(self, folder: Path, routers: Routers, database: str, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._mode = routers
        self._database = database
        self._more = env
        # Each service's kind, by its name.
        self.services = {name: name for name in SERVICES}
        if routers is not Routers.ONE:
            self.services[_SECOND] = "router"
        names = [*self.services, "relay"]
        self.ports = {name: free_port() for name in names}

    @property
    def routers(self) -> list[str]:
        """The names of all Routers."""
        return [name for name, kind in self.services.items() if kind == "router"]

    def address(self, name: str) -> str:
        """Where a service listens, as host and port."""
        return f"127.0.0.1:{self.ports[name]}"

    def command(self, name: str) -> list[str]:
        """What starts a service."""
        if name == "temporal":
            return _command(_binary(), self._folder, self.ports[name], None)
        return [sys.executable, "-m", f"devteam_{self.services[name]}"]

    def env(self, name: str = "") -> dict[str, str]:
        """The environment of a service, or of a worker."""
        return environment(**self._common(), **self._own(name), **self._more)

    def _common(self) -> dict[str, str]:
        ports = {f"DEVTEAM_{name.upper()}_PORT": str(self.ports[name]) for name in ("registry", "planner")}
        told = [self.address("relay")] if self._mode is Routers.ONE else []
        return {
            **ports,
            "DEVTEAM_REGISTRY_DATABASE_URL": f"sqlite:///{self._folder}/registry.db",
            "DEVTEAM_REGISTRY_ROUTER_ADDRESSES": json.dumps(told),
            "DEVTEAM_ROUTER_REGISTRY_ADDRESS": self._url("registry"),
            "DEVTEAM_PLANNER_DATABASE_URL": self._database,
            "DEVTEAM_PLANNER_ROUTER_ADDRESS": ",".join(self._url(name) for name in self._planned_on()),
            "DEVTEAM_PLANNER_TEMPORAL_ADDRESS": self.address("temporal"),
            "DEVTEAM_API_URL": self._url("registry"),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        }

    def _own(self, name: str) -> dict[str, str]:
        """What one Router is told and the other is not."""
        if self.services.get(name) != "router":
            return {}
        advertised = {} if self._mode is Routers.ONE else {"DEVTEAM_ROUTER_ADVERTISED_ADDRESS": self._url(name)}
        return {"DEVTEAM_ROUTER_PORT": str(self.ports[name]), **advertised}

    def _planned_on(self) -> list[str]:
        return ["relay", _SECOND] if self._mode is Routers.RELAYED_PAIR else self.routers

    def _url(self, name: str) -> str:
        return f"http://{self.address(name)}"
