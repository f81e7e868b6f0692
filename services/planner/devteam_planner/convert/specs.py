"""What is to be run, on its way in and back out."""

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from devteam.mesh.durations import seconds_of
from devteam.v1 import planner_pb2, run_pb2
from devteam_planner.convert.findings import Findings
from devteam_planner.convert.runs import generation_to_proto, placement_to_proto
from devteam_planner.domain import (
    MAX_PROMPT_BYTES,
    Generation,
    OnWorkerLoss,
    Placement,
    Requirements,
    RunPolicy,
    TaskSpec,
)

_DAY = 24 * 3600.0
# Bounds of what the contract leaves open: labels, data sources and the like are names, not documents.
_MAX_LABEL_BYTES = 255

_STRATEGIES: dict[int, str] = {
    number: name.removeprefix("STRATEGY_").removeprefix("UNSPECIFIED") for name, number in run_pb2.Strategy.items()
}
_ON_WORKER_LOSS: dict[int, OnWorkerLoss] = {
    run_pb2.ON_WORKER_LOSS_UNSPECIFIED: OnWorkerLoss.RESTART,
    run_pb2.ON_WORKER_LOSS_RESTART: OnWorkerLoss.RESTART,
    run_pb2.ON_WORKER_LOSS_FAIL: OnWorkerLoss.FAIL,
}


def task_spec_from_proto(request: planner_pb2.CreateTaskRequest) -> TaskSpec:
    """The spec of a task of its own; its prompts are no templates. Raises InvalidInput."""
    found = Findings()
    found.name("request_id", request.request_id, required=False)
    if not request.HasField("task"):
        found.add("task", "FIELD_REQUIRED", "must be given")
    with found.at("task"):
        spec = spec_from_proto(request.task, found)
    found.raise_if_any()
    return spec


def spec_from_proto(message: planner_pb2.TaskSpec | planner_pb2.StepSpec, found: Findings) -> TaskSpec:
    """The spec that `message` holds; whatever is wrong with it goes to `found`."""
    _check_prompt("prompt", message.prompt, found)
    if not message.prompt.strip():
        found.add("prompt", "FIELD_REQUIRED", "must not be empty")
    _check_prompt("system_prompt", message.system_prompt, found)
    found.characters("model", message.model, limit=255)
    found.name("queue", message.queue, required=False)
    _check_names("tools", message.tools, 64, found)
    return TaskSpec(
        prompt=message.prompt,
        model=message.model,
        queue=message.queue,
        system_prompt=message.system_prompt,
        tools=tuple(message.tools),
        placement=_placement_from_proto(message.placement, found),
        generation=_generation_from_proto(message.generation, found),
        policy=_policy_from_proto(message.policy, found),
    )


def spec_to_proto(spec: TaskSpec) -> planner_pb2.TaskSpec:
    """A spec as it was submitted, defaults filled in."""
    return planner_pb2.TaskSpec(
        prompt=spec.prompt,
        model=spec.model,
        queue=spec.queue,
        system_prompt=spec.system_prompt,
        tools=spec.tools,
        placement=placement_to_proto(spec.placement),
        generation=generation_to_proto(spec.generation),
        policy=_policy_to_proto(spec.policy),
    )


def duration_to_proto(seconds: float) -> Duration:
    """A length of time."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _check_prompt(field: str, prompt: str, found: Findings) -> None:
    if (size := len(prompt.encode())) > MAX_PROMPT_BYTES:
        found.add(field, "PROMPT_TOO_LARGE", f"has {size} bytes; at most {MAX_PROMPT_BYTES} are allowed")
    if "\x00" in prompt:
        found.add(field, "TEXT_FORBIDDEN_CHAR", "must not contain the NUL character")


def _check_names(field: str, names: Iterable[str], limit: int, found: Findings) -> None:
    names = list(names)
    found.count(field, len(names), limit)
    for position, name in enumerate(names[:limit]):
        found.name(f"{field}[{position}]", name)


def _placement_from_proto(message: run_pb2.Placement, found: Findings) -> Placement:
    with found.at("placement"):
        found.enum("strategy", message.strategy, list(_STRATEGIES))
        found.between("priority", message.priority, 0, 5)
        found.text("near_data_source", message.near_data_source, limit=_MAX_LABEL_BYTES)
        _check_names("preferred_queues", message.preferred_queues, 16, found)
        return Placement(
            requirements=_requirements_from_proto(message.requirements, found),
            strategy=_STRATEGIES.get(message.strategy, ""),
            priority=message.priority or Placement().priority,
            near_data_source=message.near_data_source,
            preferred_queues=tuple(message.preferred_queues),
        )


def _requirements_from_proto(message: run_pb2.Requirements, found: Findings) -> Requirements:
    with found.at("requirements"):
        found.text("gpu_model", message.gpu_model, limit=64)
        found.between("min_ram_gb", message.min_ram_gb, 0, 65_536)
        found.between("min_cpu_cores", message.min_cpu_cores, 0, 4_096)
        found.count("labels", len(message.labels), 32)
        for key, value in sorted(message.labels.items())[:32]:
            found.text("labels", key, limit=_MAX_LABEL_BYTES, required=True)
            found.text("labels", value, limit=_MAX_LABEL_BYTES)
        _check_names("data_sources", message.data_sources, 16, found)
    return Requirements(
        gpu=message.gpu,
        gpu_model=message.gpu_model,
        min_ram_gb=message.min_ram_gb,
        min_cpu_cores=message.min_cpu_cores,
        labels=dict(message.labels),
        data_sources=tuple(message.data_sources),
    )


def _generation_from_proto(message: run_pb2.Generation, found: Findings) -> Generation:
    with found.at("generation"):
        found.between("max_tokens", message.max_tokens, 0, 1_000_000)
        found.between("max_turns", message.max_turns, 0, 1_000)
        found.text("effort", message.effort, limit=64)
        with found.at("options"):
            options = _struct_from_proto(message.options, found)
    return Generation(
        max_tokens=message.max_tokens, effort=message.effort, options=options, max_turns=message.max_turns
    )


def _struct_from_proto(message: Struct, found: Findings) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in message.fields.items():
        found.text("", key, limit=_MAX_LABEL_BYTES)
        values[key] = _value_from_proto(value, found)
    return values


def _value_from_proto(message: Value, found: Findings) -> object:
    match message.WhichOneof("kind"):
        case "number_value":
            return _number_from_proto(message.number_value, found)
        case "string_value":
            _check_prompt("", message.string_value, found)
            return message.string_value
        case "bool_value":
            return message.bool_value
        case "struct_value":
            return _struct_from_proto(message.struct_value, found)
        case "list_value":
            return _list_from_proto(message.list_value, found)
        case _:
            return None


def _list_from_proto(message: ListValue, found: Findings) -> list[object]:
    return [_value_from_proto(value, found) for value in message.values]


def _number_from_proto(number: float, found: Findings) -> float | int:
    largest = 1.8e308
    if not -largest < number < largest:
        found.add("", "OUT_OF_BOUNDS", f"holds {number:g}, which is no number of JSON")
        return 0
    return int(number) if number.is_integer() else number


def _policy_from_proto(message: run_pb2.RunPolicy, found: Findings) -> RunPolicy:
    with found.at("policy"):
        found.between("max_attempts", message.max_attempts, 0, 20)
        found.enum("on_worker_loss", message.on_worker_loss, list(_ON_WORKER_LOSS))
        run_timeout = schedule_timeout = None
        if message.HasField("run_timeout"):
            run_timeout = _seconds_from_proto("run_timeout", message.run_timeout, _DAY, found)
        if message.HasField("schedule_timeout"):
            schedule_timeout = _seconds_from_proto("schedule_timeout", message.schedule_timeout, 30 * _DAY, found)
    return RunPolicy(
        max_attempts=message.max_attempts or RunPolicy().max_attempts,
        on_worker_loss=_ON_WORKER_LOSS.get(message.on_worker_loss, OnWorkerLoss.RESTART),
        run_timeout=RunPolicy().run_timeout if run_timeout is None else run_timeout,
        schedule_timeout=schedule_timeout,
    )


def _seconds_from_proto(field: str, message: Duration, longest: float, found: Findings) -> float:
    seconds = seconds_of(message)
    found.between(field, seconds, 1, longest)
    return seconds


def _policy_to_proto(policy: RunPolicy) -> run_pb2.RunPolicy:
    waits = policy.schedule_timeout
    return run_pb2.RunPolicy(
        max_attempts=policy.max_attempts,
        on_worker_loss=run_pb2.OnWorkerLoss.Value(f"ON_WORKER_LOSS_{policy.on_worker_loss.name}"),
        run_timeout=duration_to_proto(policy.run_timeout),
        schedule_timeout=None if waits is None else duration_to_proto(waits),
    )
