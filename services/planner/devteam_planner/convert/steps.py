"""The steps of a new plan, and everything that can be wrong with them."""

import re
from collections.abc import Mapping, Sequence

from devteam.v1 import planner_pb2
from devteam_planner import dag, templates
from devteam_planner.convert.findings import Findings, quoted, suggestion
from devteam_planner.convert.specs import spec_from_proto
from devteam_planner.domain import MAX_STEPS, Step

# A plan is answered as one message of at most 4 MiB, with room for what becomes of its steps.
_MAX_PLAN_BYTES = 3 * 1024 * 1024
_MAX_INPUT_BYTES = 256 * 1024
_MAX_INPUTS = 64
_STEP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = "input"


def steps_from_proto(request: planner_pb2.CreatePlanRequest) -> list[Step]:
    """The steps of a request that is right in all its parts. Raises InvalidInput with every violation."""
    found = Findings()
    found.name("request_id", request.request_id, required=False)
    found.characters("name", request.name, limit=128)
    _check_input(request.input, found)
    _check_size(request, found)
    steps = []
    for position, message in enumerate(request.steps):
        with found.at(f"steps[{position}]"):
            steps.append(_step_from_proto(message, found))
    _check_ids(steps, found)
    _check_order(steps, found)
    _check_templates(steps, request.input, found)
    found.raise_if_any()
    return steps


def _check_input(values: Mapping[str, str], found: Findings) -> None:
    found.count("input", len(values), _MAX_INPUTS)
    for name in sorted(values)[:_MAX_INPUTS]:
        field = f"input[{quoted(name)}]"
        if not _STEP_ID.fullmatch(name):
            found.add(field, "ID_FORMAT", "must be named by 1 to 64 characters of A-Z a-z 0-9 _ -")
        if "\x00" in values[name]:
            found.add(field, "TEXT_FORBIDDEN_CHAR", "must not contain the NUL character")
    if (size := sum(len(value.encode()) for value in values.values())) > _MAX_INPUT_BYTES:
        found.add("input", "TEXT_TOO_LARGE", f"has {size} bytes; at most {_MAX_INPUT_BYTES} are allowed")


def _check_size(request: planner_pb2.CreatePlanRequest, found: Findings) -> None:
    """Raises InvalidInput for too many steps."""
    if not request.steps:
        found.add("steps", "FIELD_REQUIRED", "must not be empty")
    if (count := len(request.steps)) > MAX_STEPS:
        found.add("steps", "PLAN_TOO_LARGE", f"has {count} entries; at most {MAX_STEPS} are allowed")
        found.raise_if_any()  # before anything looks at each of them
    elif (size := request.ByteSize()) > _MAX_PLAN_BYTES:
        found.add("steps", "PLAN_TOO_LARGE", f"the plan has {size} bytes; at most {_MAX_PLAN_BYTES} are allowed")


def _step_from_proto(message: planner_pb2.StepSpec, found: Findings) -> Step:
    if not message.id:
        found.add("id", "FIELD_REQUIRED", "must not be empty")
    elif not _STEP_ID.fullmatch(message.id):
        found.add("id", "ID_FORMAT", "must be 1 to 64 characters of A-Z a-z 0-9 _ -")
    elif message.id == _RESERVED:
        found.add("id", "ID_FORMAT", f"{_RESERVED!r} is reserved: {{{{input.NAME}}}} means the plan's input")
    return Step(message.id, spec_from_proto(message, found), tuple(dict.fromkeys(message.depends_on)))


def _check_ids(steps: Sequence[Step], found: Findings) -> None:
    for position, first in dag.duplicates([step.id for step in steps]).items():
        if steps[position].id:
            message = f"{quoted(steps[position].id)} is the id of steps[{first}] already"
            found.add(f"steps[{position}].id", "PLAN_DUPLICATE_ID", message)


def _check_order(steps: Sequence[Step], found: Findings) -> None:
    positions = {step.id: position for position, step in reversed(list(enumerate(steps)))}
    for position, step in enumerate(steps):
        field = f"steps[{position}].depends_on"
        if step.id in step.depends_on:
            found.add(field, "PLAN_SELF_DEPENDENCY", "a step cannot depend on itself")
        for need in step.depends_on:
            if need not in positions:
                message = f"{quoted(need)} is no step of this plan{suggestion(need, positions)}"
                found.add(field, "PLAN_UNKNOWN_STEP", message)
    for cycle in dag.cycles({step.id: step.depends_on for step in steps}):
        message = f"steps wait for each other in a circle: {_told(cycle)}"
        found.add(f"steps[{positions[cycle[0]]}].depends_on", "PLAN_CYCLE", message)


def _told(cycle: list[str]) -> str:
    if len(cycle) <= 12:
        return " > ".join(cycle)
    return " > ".join([*cycle[:10], f"({len(cycle) - 11} more)", cycle[-1]])


def _check_templates(steps: Sequence[Step], inputs: Mapping[str, str], found: Findings) -> None:
    known = {step.id for step in steps}
    above = _ancestors(steps, known)
    for position, step in enumerate(steps):
        for field, text in (("prompt", step.spec.prompt), ("system_prompt", step.spec.system_prompt)):
            for flaw in templates.flaws(text, steps=known, ancestors=above[step.id], inputs=inputs):
                found.add(f"steps[{position}].{field}", flaw.reason, _sentence(flaw, known, inputs))


def _ancestors(steps: Sequence[Step], known: set[str]) -> Mapping[str, set[str]]:
    """What lies above each step; while their order makes no sense, everything does."""
    depends_on = {step.id: step.depends_on for step in steps}
    if any(not known.issuperset(needs) for needs in depends_on.values()) or any(dag.cycles(depends_on)):
        return dict.fromkeys(depends_on, known)
    if any(step in needs for step, needs in depends_on.items()):
        return dict.fromkeys(depends_on, known)
    return dag.ancestors(depends_on)


def _sentence(flaw: templates.Flaw, steps: set[str], inputs: Mapping[str, str]) -> str:
    if flaw.reason == "TEMPLATE_UNKNOWN_STEP":
        return f"{quoted(flaw.name)} {flaw.message}{suggestion(flaw.name, steps)}"
    if flaw.reason == "TEMPLATE_UNKNOWN_INPUT":
        return f"{quoted(flaw.name)} {flaw.message}{suggestion(flaw.name, inputs)}"
    return f"{quoted(flaw.name)} {flaw.message}" if flaw.name else flaw.message
