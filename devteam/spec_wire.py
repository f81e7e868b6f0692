"""What one asks for, to and from the contract's messages. Pure functions, named by direction."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf import json_format, struct_pb2

from devteam.mesh.errors import InvalidInput, Violation
from devteam.scalars import duration_from_proto, duration_to_proto
from devteam.specs import Generation, OnWorkerLoss, Placement, Requirements, RunPolicy, Step, Strategy, TaskSpec, chosen
from devteam.v1 import planner_pb2, run_pb2

_Kind = TypeVar("_Kind", bound=StrEnum)


def task_spec_to_proto(spec: TaskSpec) -> planner_pb2.TaskSpec:
    """Raises InvalidInput for what cannot be put into a message."""
    return planner_pb2.TaskSpec(**_fields(spec))


def step_to_proto(step: Step) -> planner_pb2.StepSpec:
    """Raises InvalidInput for what cannot be put into a message."""
    return planner_pb2.StepSpec(id=step.id, depends_on=names_to_proto("depends_on", step.depends_on), **_fields(step))


def task_spec_from_proto(spec: planner_pb2.TaskSpec) -> TaskSpec:
    """The specification as it was submitted."""
    return TaskSpec(
        prompt=spec.prompt,
        model=spec.model,
        queue=spec.queue,
        system_prompt=spec.system_prompt,
        tools=tuple(spec.tools),
        placement=_placement_from_proto(spec.placement),
        generation=_generation_from_proto(spec.generation),
        policy=_policy_from_proto(spec.policy),
    )


def dry_run_to_proto(spec: TaskSpec) -> run_pb2.Run:
    """What placement looks at, of a task that is not submitted. Raises InvalidInput."""
    return run_pb2.Run(
        model=spec.model,
        queue=spec.queue,
        tools=names_to_proto("tools", spec.tools),
        placement=_placement_to_proto(spec.placement),
    )


def strategy_to_proto(field: str, strategy: Strategy | str | None) -> "run_pb2.Strategy.ValueType":
    """The contract's value, UNSPECIFIED for None and for nothing. Raises InvalidInput that names `field`."""
    if not strategy:
        return run_pb2.STRATEGY_UNSPECIFIED
    return run_pb2.Strategy.Value(f"STRATEGY_{_choice(field, Strategy, strategy).name}")


def strategy_from_proto(number: "run_pb2.Strategy.ValueType") -> Strategy | None:
    """The strategy; None for "not said" and for one that this client does not know."""
    return {strategy_to_proto("strategy", strategy): strategy for strategy in Strategy}.get(number)


def names_to_proto(field: str, names: Sequence[str]) -> Sequence[str]:
    """The names as they are. Raises InvalidInput for a text, which would become one name for each letter."""
    if isinstance(names, str):  # a sequence of letters, as far as types can tell
        raise InvalidInput(Violation(field, "FIELD_TYPE", f"must be a list of names; write [{names!r}]"))
    return names


def _fields(spec: TaskSpec) -> dict[str, Any]:
    return {
        "prompt": spec.prompt,
        "model": spec.model,
        "queue": spec.queue,
        "system_prompt": spec.system_prompt,
        "tools": names_to_proto("tools", spec.tools),
        "placement": _placement_to_proto(spec.placement),
        "generation": _generation_to_proto(spec.generation),
        "policy": _policy_to_proto(spec.policy),
    }


def _choice(field: str, kind: type[_Kind], value: str) -> _Kind:
    try:
        return chosen(kind, value)
    except ValueError as error:
        raise InvalidInput(Violation(field, "UNKNOWN_VALUE", str(error))) from None


def _placement_to_proto(placement: Placement) -> run_pb2.Placement:
    needs = placement.requirements
    return run_pb2.Placement(
        requirements=run_pb2.Requirements(
            gpu=needs.gpu,
            gpu_model=needs.gpu_model,
            min_ram_gb=needs.min_ram_gb,
            min_cpu_cores=needs.min_cpu_cores,
            labels=needs.labels,
            data_sources=names_to_proto("placement.requirements.data_sources", needs.data_sources),
        ),
        strategy=strategy_to_proto("placement.strategy", placement.strategy),
        priority=placement.priority,
        near_data_source=placement.near_data_source,
        preferred_queues=names_to_proto("placement.preferred_queues", placement.preferred_queues),
    )


def _placement_from_proto(placement: run_pb2.Placement) -> Placement:
    needs = placement.requirements
    return Placement(
        requirements=Requirements(
            gpu=needs.gpu,
            gpu_model=needs.gpu_model,
            min_ram_gb=needs.min_ram_gb,
            min_cpu_cores=needs.min_cpu_cores,
            labels=dict(needs.labels),
            data_sources=tuple(needs.data_sources),
        ),
        strategy=strategy_from_proto(placement.strategy),
        priority=placement.priority,
        near_data_source=placement.near_data_source,
        preferred_queues=tuple(placement.preferred_queues),
    )


def _generation_to_proto(generation: Generation) -> run_pb2.Generation:
    try:
        options = json_format.ParseDict(dict(generation.options), struct_pb2.Struct())
    except (json_format.ParseError, TypeError, ValueError):
        raise InvalidInput(
            Violation("generation.options", "FIELD_TYPE", "may hold only what JSON can hold, with text as keys")
        ) from None
    return run_pb2.Generation(
        max_tokens=generation.max_tokens, effort=generation.effort, options=options, max_turns=generation.max_turns
    )


def _generation_from_proto(generation: run_pb2.Generation) -> Generation:
    options = json_format.MessageToDict(generation.options)
    return Generation(
        max_tokens=generation.max_tokens, effort=generation.effort, options=options, max_turns=generation.max_turns
    )


def _policy_to_proto(policy: RunPolicy) -> run_pb2.RunPolicy:
    loss = run_pb2.ON_WORKER_LOSS_UNSPECIFIED
    if policy.on_worker_loss:
        wish = _choice("policy.on_worker_loss", OnWorkerLoss, policy.on_worker_loss)
        loss = run_pb2.OnWorkerLoss.Value(f"ON_WORKER_LOSS_{wish.name}")
    return run_pb2.RunPolicy(
        max_attempts=policy.max_attempts,
        on_worker_loss=loss,
        run_timeout=duration_to_proto(policy.run_timeout),
        schedule_timeout=duration_to_proto(policy.schedule_timeout),
    )


def _policy_from_proto(policy: run_pb2.RunPolicy) -> RunPolicy:
    losses = {run_pb2.ON_WORKER_LOSS_RESTART: OnWorkerLoss.RESTART, run_pb2.ON_WORKER_LOSS_FAIL: OnWorkerLoss.FAIL}
    return RunPolicy(
        max_attempts=policy.max_attempts,
        on_worker_loss=losses.get(policy.on_worker_loss),
        run_timeout=duration_from_proto(policy, "run_timeout"),
        schedule_timeout=duration_from_proto(policy, "schedule_timeout"),
    )
