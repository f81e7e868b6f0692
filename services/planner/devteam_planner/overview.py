"""All tasks of all plans, as those see them who look on: without prompts and outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from devteam_planner.domain import DEFAULT_TENANT, Task


@dataclass(frozen=True, slots=True)
class Write:
    """What was written last of a task: when, by the clock of the Planner that wrote it, and what version that made."""

    changed_at: datetime
    task_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many tokens of a running task's attempt are stored."""

    task_id: str
    attempt: int
    tokens: int
    tenant: str = DEFAULT_TENANT


class Overview(Protocol):
    """Reads across plans; each read is served from an index. All methods raise Unavailable when the store is.

    Prompts and outputs of tasks are left empty. `whose` is a tenant; "": all of them.
    """

    async def open(self, after: str, limit: int, whose: str = "") -> list[Task]:
        """Tasks that have not ended, in the order of their ids, those after id `after`."""

    async def ended(self, since: datetime, limit: int, whose: str = "") -> list[str]:
        """The ids of ended tasks that were written since, in the order of these writes; at most the last `limit`."""

    async def writes(self, since: datetime, after: str, limit: int) -> list[Write]:
        """The last writes of tasks, in their order: of `since`, to ids after `after`, and later ones."""

    async def tasks(self, task_ids: Sequence[str]) -> list[Task]:
        """These tasks, in the order asked for; ids that are not known are left out."""

    async def counts(self) -> list[Count]:
        """The tokens of all running tasks; 0 of those that have said nothing yet."""
