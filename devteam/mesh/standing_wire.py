"""How a process stands, as the contract says it."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.standing import Dependency, DependencyState, Standing
from devteam.v1 import status_pb2

_STATES = {
    DependencyState.UNKNOWN: status_pb2.DEPENDENCY_STATE_UNKNOWN,
    DependencyState.OK: status_pb2.DEPENDENCY_STATE_OK,
    DependencyState.AWAY: status_pb2.DEPENDENCY_STATE_AWAY,
}


def standing_to_proto(standing: Standing) -> status_pb2.ServiceStatus:
    """What a process says of itself."""
    return status_pb2.ServiceStatus(
        name=standing.name,
        instance=standing.instance,
        version=standing.version,
        python_version=standing.python_version,
        started_at=_moment(standing.started_at),
        now=_moment(standing.now),
        dependencies=[dependency_to_proto(dependency) for dependency in standing.dependencies],
        traces=standing.traces,
    )


def dependency_to_proto(dependency: Dependency) -> status_pb2.Dependency:
    """One thing that it stands on."""
    return status_pb2.Dependency(
        name=dependency.name,
        address=dependency.address,
        state=_STATES[dependency.state],
        detail=dependency.detail,
        since=_moment(dependency.since) if dependency.since else None,
    )


def _moment(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
