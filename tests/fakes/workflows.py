"""Durable execution that only remembers what it was asked for."""

from collections.abc import Sequence

from devteam_planner.domain import Plan

from devteam.mesh.errors import Unavailable


class FakeWorkflows:
    """Knows the plans that were started and cancelled; refuses while `down`."""

    def __init__(self) -> None:
        self.started: dict[str, Plan] = {}
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []
        self.down = False

    async def start(self, plan: Plan) -> None:
        self._answer()
        self.started.setdefault(plan.plan_id, plan)

    async def cancel(self, plan_id: str) -> None:
        self._answer()
        self.cancelled.append(plan_id)

    async def forget(self, plan_ids: Sequence[str]) -> None:
        self._answer()
        self.forgotten += plan_ids

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("Temporal is down")
