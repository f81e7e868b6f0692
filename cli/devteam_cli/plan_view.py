"""A plan as it goes on: what a screen or a list of lines shows of it. Knows nothing of terminals."""

from dataclasses import dataclass

from devteam.events import AttemptStarted, Event, Gap, Interrupted, PlanChanged, TaskChanged, Tokens
from devteam.models import Plan, PlanState, Task, TaskState
from devteam_cli.render import note, summary

# Characters of a step's text that are kept to show its end.
_KEPT = 1000


@dataclass(slots=True)
class StepView:
    """One step: the task as it was told last, and the end of what it says."""

    task: Task
    tokens: int = 0
    text: str = ""


class PlanView:
    """Follows the events of one plan."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.steps: dict[str, StepView] = {}
        self.trouble = ""

    def apply(self, event: Event) -> str:
        """Take an event in; return a line about it if it is worth one, else an empty string."""
        self.trouble = ""
        match event:
            case PlanChanged():
                return self._take_plan(event.plan)
            case TaskChanged():
                return self._take_task(event.task)
            case AttemptStarted():
                return self._take_attempt(event)
            case Tokens():
                self._take_tokens(event)
            case Gap():
                return f"{event.step_id}: tokens {event.first_seq} to {event.last_seq} can no longer be had"
            case Interrupted():
                self.trouble = f"connection lost ({event.reason}); trying again"
                return self.trouble
        return ""

    def remind(self) -> str:
        """What a plan that has not begun waits for; empty once it has, since its steps say it then."""
        if self.plan is None or self.plan.state is not PlanState.PENDING:
            return ""
        self.trouble = "waits: Temporal begins it, and has not; see `devteam doctor` if that takes long"
        return self.trouble

    def _take_plan(self, plan: Plan) -> str:
        changed = self.plan is None or self.plan.state is not plan.state
        self.plan = plan
        for task in plan.tasks:
            self._step(task).task = task
        return f"{plan.name} ({plan.id}): {plan.state.value}" if changed else ""

    def _take_task(self, task: Task) -> str:
        step = self._step(task)
        before, step.task = step.task, task
        same = (before.state, before.worker_id, note(before)) == (task.state, task.worker_id, note(task))
        return "" if same else f"{task.step_id}: {told(task)}"

    def _take_attempt(self, event: AttemptStarted) -> str:
        if step := self.steps.get(event.task_id):
            step.tokens, step.text = 0, ""
        return f"{event.step_id}: attempt {event.attempt}: {event.reason}" if event.attempt > 1 else ""

    def _take_tokens(self, event: Tokens) -> None:
        # A plan that had ended before anybody watched is told last; until then its steps are not known.
        if step := self.steps.get(event.task_id):
            step.tokens += len(event.tokens)
            step.text = (step.text + event.text)[-_KEPT:]

    def _step(self, task: Task) -> StepView:
        return self.steps.setdefault(task.id, StepView(task))


def told(task: Task) -> str:
    """Where a task is, in a few words."""
    if task.state is TaskState.RUNNING:
        return f"running on {task.worker_id}"
    if task.state is TaskState.SUCCEEDED:
        return summary(task)
    return f"{task.state.value}: {note(task)}" if note(task) else task.state.value
