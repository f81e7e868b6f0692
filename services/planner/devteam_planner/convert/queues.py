"""The queues that a key sends its tasks to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from devteam.mesh.access.caller import Caller
from devteam.mesh.errors import PermissionDenied
from devteam_planner.domain import Step, TaskSpec


def task_in_its_queue(spec: TaskSpec, caller: Caller) -> TaskSpec:
    """The spec of a task of its own, where its key allows it. Raises PermissionDenied, with the name of the field."""
    return _within(spec, caller, "task")


def steps_in_their_queues(steps: Sequence[Step], caller: Caller) -> list[Step]:
    """As task_in_its_queue, of every step of a plan."""
    return [replace(step, spec=_within(step.spec, caller, f"steps[{at}]")) for at, step in enumerate(steps)]


def _within(spec: TaskSpec, caller: Caller, path: str) -> TaskSpec:
    if len(caller.queues) == 1 and not spec.queue and not spec.placement.preferred_queues:
        return replace(spec, queue=caller.queues[0])  # a key that can mean only one need not name it
    for field, queue in _named(spec):
        try:
            caller.uses_queue(queue)
        except PermissionDenied as refused:
            place = f"{path}.{field}"
            raise PermissionDenied(
                f"{place}: {refused.message}", reason=refused.reason, metadata={"field": place}
            ) from None
    return spec


def _named(spec: TaskSpec) -> Iterator[tuple[str, str]]:
    """Where it may run: in its queue, or without one in any that it prefers, or wherever the mesh likes ("")."""
    if spec.queue or not spec.placement.preferred_queues:
        yield "queue", spec.queue
        return
    for at, queue in enumerate(spec.placement.preferred_queues):
        yield f"placement.preferred_queues[{at}]", queue
