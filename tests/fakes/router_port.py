"""A Router that places nothing and remembers what it was told."""

from collections.abc import AsyncGenerator

from devteam_planner.domain import Run, WorkerInstance
from devteam_planner.ports import RunEvent, RunWaiting

from devteam.mesh.errors import Unavailable


class FakeRouter:
    """Every dispatch waits for a worker that never comes; `cancelled` and `acknowledged` keep what was said."""

    def __init__(self) -> None:
        self.cancelled: list[tuple[str, int]] = []
        self.acknowledged: list[tuple[str, int, int, bool]] = []
        self.down = False

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[RunEvent, None]:
        yield RunWaiting("no worker")
        raise Unavailable("the line broke")

    def acknowledge(self, task_id: str, attempt: int, seq: int, *, report: bool = False) -> None:
        self.acknowledged.append((task_id, attempt, seq, report))

    async def cancel(self, task_id: str, attempt: int) -> None:
        if self.down:
            raise Unavailable("the Router is down")
        self.cancelled.append((task_id, attempt))
