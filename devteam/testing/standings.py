"""How the services of a fake mesh stand."""

import platform
from collections.abc import Iterable

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.standing import Standing
from devteam.mesh.standing_wire import standing_to_proto
from devteam.mesh.version import version
from devteam.standing import ServiceStatus
from devteam.v1 import status_pb2


class Standings:
    """What a test says of services; of the others, that they are well. What it leaves empty is as in truth."""

    def __init__(self, told: Iterable[ServiceStatus], clock: Clock) -> None:
        self._told = {service.name: service for service in told}
        self._clock = clock
        self._started_at = clock.now()

    def of(self, name: str) -> status_pb2.ServiceStatus:
        """How this service stands. Raises Unavailable for one with a problem."""
        told = self._told.get(name, ServiceStatus(name=name))
        if told.problem:
            raise Unavailable(told.problem, reason="FAKE_MESH")
        now = told.now or self._clock.now() + told.clock_ahead
        return standing_to_proto(
            Standing(
                name=name,
                instance=told.instance,
                version=told.version or version(),
                python_version=told.python_version or platform.python_version(),
                started_at=told.started_at or self._started_at,
                now=now,
                dependencies=told.dependencies,
                traces=told.traces or "off",
            )
        )
