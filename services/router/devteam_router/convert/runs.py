"""What Planners ask for, checked and turned into the Router's nouns."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from devteam.mesh.durations import seconds_of
from devteam.mesh.validation import Violations
from devteam.v1 import router_pb2, run_pb2
from devteam_router.domain import AttemptId, Requirements, Run, Signature, StrategyName, WorkerInstance
from devteam_router.preferences import Preferences

STRATEGIES = {
    run_pb2.STRATEGY_ROUND_ROBIN: StrategyName.ROUND_ROBIN,
    run_pb2.STRATEGY_LEAST_LOADED: StrategyName.LEAST_LOADED,
    run_pb2.STRATEGY_CAPABILITY_MATCH: StrategyName.CAPABILITY_MATCH,
    run_pb2.STRATEGY_LOCALITY: StrategyName.LOCALITY,
}
_MODEL_BYTES = 255
_TENANT_CHARACTERS = 64
# Whose runs they are that name no tenant.
NO_TENANT = "default"
# The first and the last second that a Timestamp may hold: years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
# The most that a Duration may hold, either way: ten thousand years.
_LONGEST_SECONDS = 315_576_000_000
_PROMPT_BYTES = 512 * 1024
_LAST_SEQ = 2**63 - 1


def run_from_proto(run: run_pb2.Run, preferences: Preferences, now: datetime, *, field: str = "run") -> Run:
    """A run to be placed. Raises InvalidInput with every violation."""
    found = Violations()
    with found.at(field):
        found.name("task_id", run.task_id, limit=255)
        found.between("attempt", run.attempt, 1, 1_000_000)
        found.name("tenant", run.tenant, limit=_TENANT_CHARACTERS, required=False)
        found.text("prompt", run.prompt, limit=_PROMPT_BYTES)
        found.text("system_prompt", run.system_prompt, limit=_PROMPT_BYTES)
        found.between("schedule_deadline.seconds", run.schedule_deadline.seconds, _FIRST_SECOND, _LAST_SECOND)
        found.between("schedule_deadline.nanos", run.schedule_deadline.nanos, 0, 999_999_999)
        found.between("schedule_within.seconds", run.schedule_within.seconds, -_LONGEST_SECONDS, _LONGEST_SECONDS)
        found.between("schedule_within.nanos", run.schedule_within.nanos, -999_999_999, 999_999_999)
        _check_signature(found, run)
    found.raise_if_any()
    return Run(
        AttemptId(run.task_id, run.attempt),
        signature_of(run, preferences),
        payload=run,
        priority=run.placement.priority or 3,
        schedule_within=_schedule_within(run, now),
        tenant=run.tenant or NO_TENANT,
    )


def dry_run_from_proto(run: run_pb2.Run, preferences: Preferences) -> Signature:
    """The signature of a run that does not exist. Raises InvalidInput."""
    found = Violations()
    with found.at("dry_run"):
        _check_signature(found, run)
    found.raise_if_any()
    return signature_of(run, preferences)


def signature_of(run: run_pb2.Run, preferences: Preferences) -> Signature:
    """All that placement looks at."""
    placement = run.placement
    return _interned(
        queues=preferences.queues(run.model, run.queue, placement.preferred_queues),
        model=run.model,
        requirements=_requirements(placement.requirements),
        tools=tuple(sorted(run.tools)),
        strategy=STRATEGIES.get(placement.strategy),
        near_data_source=placement.near_data_source,
        preferred=not run.queue and not placement.preferred_queues,
    )


@lru_cache(maxsize=4_096)
def _interned(**parts: Any) -> Signature:
    """The same object for equal parts: signatures are compared with every decision, and most runs share a few."""
    return Signature(**parts)


def _schedule_within(run: run_pb2.Run, now: datetime) -> float | None:
    if run.HasField("schedule_within"):
        return seconds_of(run.schedule_within)
    if run.HasField("schedule_deadline"):
        # An older Planner says no more than this: its clock has to agree with this one.
        return (run.schedule_deadline.ToDatetime(now.tzinfo) - now).total_seconds()
    return None


def _check_signature(found: Violations, run: run_pb2.Run) -> None:
    found.text("model", run.model, limit=_MODEL_BYTES, required=True)
    found.name("queue", run.queue, required=False)
    with found.at("placement"):
        found.enum("strategy", run.placement.strategy, list(run_pb2.Strategy.values()))
        found.between("priority", run.placement.priority, 0, 5)
        _check_requirements(found, run.placement.requirements)
        found.count("preferred_queues", len(run.placement.preferred_queues), 16)
        for index, queue in enumerate(run.placement.preferred_queues):
            found.name(f"preferred_queues[{index}]", queue)


def _check_requirements(found: Violations, wants: run_pb2.Requirements) -> None:
    with found.at("requirements"):
        found.text("gpu_model", wants.gpu_model, limit=64)
        found.between("min_ram_gb", wants.min_ram_gb, 0, 65_536)
        found.between("min_cpu_cores", wants.min_cpu_cores, 0, 4096)
        found.count("labels", len(wants.labels), 32)
        found.count("data_sources", len(wants.data_sources), 16)


def _requirements(wants: run_pb2.Requirements) -> Requirements:
    return Requirements(
        wants.gpu,
        wants.gpu_model,
        wants.min_ram_gb,
        wants.min_cpu_cores,
        tuple(sorted(wants.labels.items())),
        tuple(sorted(wants.data_sources)),
    )


def last_seq_from_proto(last_seq: int) -> int:
    """The seq after which a Planner goes on. Raises InvalidInput where tokens could count beyond 64 bits from it."""
    found = Violations()
    found.between("last_seq", last_seq, 0, _LAST_SEQ)
    found.raise_if_any()
    return last_seq


def instance_from_proto(worker: router_pb2.WorkerInstance) -> WorkerInstance:
    """Which instance of which worker."""
    return WorkerInstance(worker.worker_id, worker.instance_id)
