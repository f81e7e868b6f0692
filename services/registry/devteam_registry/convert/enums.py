"""Enums of the wire and of the domain, one table each."""

from devteam.v1 import registry_pb2 as pb
from devteam.v1 import run_pb2
from devteam_registry.domain import Availability
from devteam_registry.health import WorkerState
from devteam_registry.routing import Strategy

STATES: dict[WorkerState, pb.WorkerState.ValueType] = {
    WorkerState.HEALTHY: pb.WORKER_STATE_HEALTHY,
    WorkerState.SUSPECT: pb.WORKER_STATE_SUSPECT,
    WorkerState.UNHEALTHY: pb.WORKER_STATE_UNHEALTHY,
    WorkerState.LOST: pb.WORKER_STATE_LOST,
}
AVAILABILITIES: dict[Availability, pb.Availability.ValueType] = {
    Availability.OPEN: pb.AVAILABILITY_OPEN,
    Availability.CORDONED: pb.AVAILABILITY_CORDONED,
    Availability.DRAINING: pb.AVAILABILITY_DRAINING,
}
STRATEGIES: dict[Strategy, run_pb2.Strategy.ValueType] = {
    Strategy.ROUND_ROBIN: run_pb2.STRATEGY_ROUND_ROBIN,
    Strategy.LEAST_LOADED: run_pb2.STRATEGY_LEAST_LOADED,
    Strategy.CAPABILITY_MATCH: run_pb2.STRATEGY_CAPABILITY_MATCH,
    Strategy.LOCALITY: run_pb2.STRATEGY_LOCALITY,
}
STATES_BY_NUMBER: dict[int, WorkerState] = {number: state for state, number in STATES.items()}
AVAILABILITIES_BY_NUMBER: dict[int, Availability] = {number: wish for wish, number in AVAILABILITIES.items()}
STRATEGIES_BY_NUMBER: dict[int, Strategy] = {number: strategy for strategy, number in STRATEGIES.items()}
