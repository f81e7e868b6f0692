"""Plans, tasks and tokens with what was written in them sealed, as the database keeps them, and opened again.

Names, ids, states, models, queues and counts stay as they are: lists, filters and placement need them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from devteam.mesh.errors import Unavailable
from devteam_planner.cipher import Cipher, is_sealed
from devteam_planner.domain import Attempt, Batch, Failure, Plan, Task, TaskSpec
from devteam_planner.ports import Ending

# Seals or opens the text at a place.
Turn: TypeAlias = Callable[[str, str], str]


class Sealing:
    """Seals and opens with `cipher`.

    What is meant by its name and cannot be opened is refused with Unavailable. Among several things that are read at
    once it says so itself, in its own place, and spoils no other.
    """

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._tolerant = _Tolerant(cipher)

    def plan(self, plan: Plan) -> Plan:
        """As it is kept; its tasks are left alone."""
        return turned_plan(plan, self._cipher.seal_text)

    def task(self, task: Task) -> Task:
        """As it is kept."""
        return turned_task(task, self._cipher.seal_text)

    def ending(self, task_id: str, ending: Ending) -> Ending:
        """As it is kept."""
        return replace(
            ending,
            output=self._cipher.seal_text(f"tasks/{task_id}/output", ending.output),
            wait_reason=self.wait_reason(task_id, ending.wait_reason),
            failure=self.failure(task_id, ending.failure),
        )

    def failure(self, task_id: str, failure: Failure | None) -> Failure | None:
        """As it is kept: a worker or a provider may quote a prompt."""
        return failure and _failure(task_id, failure, self._cipher.seal_text)

    def wait_reason(self, task_id: str, reason: str) -> str:
        """As it is kept: it may quote a failure."""
        return self._cipher.seal_text(f"tasks/{task_id}/wait_reason", reason)

    def attempt_reason(self, task_id: str, number: int, reason: str) -> str:
        """As it is kept: it may quote a failure."""
        return self._cipher.seal_text(_reason_of(task_id, number), reason)

    def payload(self, task_id: str, attempt: int, batch: Batch) -> bytes:
        """The tokens of a batch, as they are kept."""
        return self._cipher.seal(place_of_batch(task_id, attempt, batch), batch.payload)

    def opened_plan(self, plan: Plan, *, one_of_many: bool = False) -> Plan:
        """As it was; so with its tasks."""
        opening = self._tolerant if one_of_many else self._cipher
        tasks = tuple(self.opened_task(task, one_of_many=one_of_many) for task in plan.tasks)
        return replace(turned_plan(plan, opening.open_text), tasks=tasks)

    def opened_task(self, task: Task, *, one_of_many: bool = False) -> Task:
        """As it was."""
        if not _has_sealed(task):
            return task
        return turned_task(task, (self._tolerant if one_of_many else self._cipher).open_text)

    def opened_output(self, task_id: str, output: str) -> str:
        """As it was."""
        return self._cipher.open_text(f"tasks/{task_id}/output", output)

    def opened_attempt(self, attempt: Attempt) -> Attempt:
        """As it was."""
        return turned_attempt(attempt, self._cipher.open_text) if is_sealed(attempt.reason) else attempt

    def opened_batch(self, task_id: str, attempt: int, batch: Batch) -> Batch:
        """As it was."""
        payload = self._cipher.open(place_of_batch(task_id, attempt, batch), batch.payload)
        return batch if payload is batch.payload else replace(batch, payload=payload)


class _Tolerant:
    """Opens what can be opened, and has the rest say why it cannot."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def open_text(self, place: str, kept: str) -> str:
        try:
            return self._cipher.open_text(place, kept)
        except Unavailable as error:
            return f"[{error.message}]"


def turned_plan(plan: Plan, turn: Turn) -> Plan:
    """The plan with all that was written in it sealed, or opened; its tasks are left alone."""
    place = f"plans/{plan.plan_id}"
    return replace(
        plan,
        input={name: turn(f"{place}/input/{name}", value) for name, value in plan.input.items()},
        # Whoever guesses a short prompt could tell by this that the guess is right.
        request_digest=turn(f"{place}/request_digest", plan.request_digest),
    )


def turned_task(task: Task, turn: Turn) -> Task:
    """The task with all that was written in it sealed, or opened."""
    place = f"tasks/{task.task_id}"
    return replace(
        task,
        spec=_spec(task.task_id, task.spec, turn),
        output=turn(f"{place}/output", task.output),
        wait_reason=turn(f"{place}/wait_reason", task.wait_reason),
        failure=task.failure and _failure(task.task_id, task.failure, turn),
    )


def turned_attempt(attempt: Attempt, turn: Turn) -> Attempt:
    """The attempt with what was written in it sealed, or opened."""
    return replace(attempt, reason=turn(_reason_of(attempt.task_id, attempt.number), attempt.reason))


def place_of_batch(task_id: str, attempt: int, batch: Batch) -> str:
    """Where a batch of tokens is sealed."""
    return f"token_batches/{task_id}/{attempt}/{batch.first_seq}-{batch.last_seq}"


def _spec(task_id: str, spec: TaskSpec, turn: Turn) -> TaskSpec:
    return replace(
        spec,
        prompt=turn(f"tasks/{task_id}/prompt", spec.prompt),
        system_prompt=turn(f"tasks/{task_id}/system_prompt", spec.system_prompt),
    )


def _failure(task_id: str, failure: Failure, turn: Turn) -> Failure:
    return replace(failure, message=turn(f"tasks/{task_id}/failure", failure.message))


def _has_sealed(task: Task) -> bool:
    words = (task.spec.prompt, task.spec.system_prompt, task.output, task.wait_reason)
    return any(map(is_sealed, words)) or (task.failure is not None and is_sealed(task.failure.message))


def _reason_of(task_id: str, number: int) -> str:
    return f"attempts/{task_id}/{number}/reason"
