"""A Router that plays what a test wrote down."""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from devteam_planner.domain import Run, WorkerInstance
from devteam_planner.ports import RunEvent

# What happens next in a dispatch: an event, an error, or something to wait for.
Scene = RunEvent | Exception | Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One call of `dispatch`."""

    run: Run
    last_seq: int
    assigned: WorkerInstance | None


class ScriptedRouter:
    """Plays one script a dispatch, in the order of `script`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.dispatched: list[Dispatched] = []
        self.acknowledged: list[tuple[str, int, int, bool]] = []
        self.cancelled: list[tuple[str, int]] = []
        self.cancel_error: Exception | None = None
        self.closed = 0
        self._scripts: deque[tuple[Scene, ...]] = deque()

    def script(self, *scenes: Scene) -> None:
        """What the next dispatch without a script yet shall play."""
        self._scripts.append(scenes)

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[RunEvent, None]:
        self.dispatched.append(Dispatched(run, last_seq, assigned))
        try:
            for scene in self._scripts.popleft():
                if isinstance(scene, Exception):
                    raise scene
                if callable(scene):
                    await scene()
                else:
                    yield scene
        finally:
            self.closed += 1

    def acknowledge(self, task_id: str, attempt: int, seq: int, *, report: bool = False) -> None:
        self.acknowledged.append((task_id, attempt, seq, report))

    async def cancel(self, task_id: str, attempt: int) -> None:
        self.cancelled.append((task_id, attempt))
        if self.cancel_error:
            raise self.cancel_error
