"""All tasks in a SQL database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from devteam.mesh.database import Database
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Task
from devteam_planner.overview import Count, Write
from devteam_planner.store import overview_statements as statements
from devteam_planner.store.rows import task_of_row
from devteam_planner.store.sealing import Sealing


class SqlOverview:
    """See overview.Overview."""

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._sealing = Sealing(cipher or Cipher())
        seen = statements.seen(database.dialect)
        self._open = statements.still_open(seen)
        self._open_of = statements.of_tenant(self._open)
        self._tasks = statements.of_ids(seen)

    async def open(self, after: str, limit: int, whose: str = "") -> list[Task]:
        """See the port."""
        given = {"after": after, "at_most": limit, **_of(whose)}
        return self._opened(await self._read(self._open_of if whose else self._open, given))

    async def ended(self, since: datetime, limit: int, whose: str = "") -> list[str]:
        """See the port."""
        given = {"since": since, "at_most": limit, **_of(whose)}
        rows = await self._read(statements.ENDED_OF if whose else statements.ENDED, given)
        return [row.task_id for row in reversed(rows)]

    async def writes(self, since: datetime, after: str, limit: int) -> list[Write]:
        """See the port."""
        rows = await self._read(statements.WRITES, {"since": since, "after": after, "at_most": limit})
        return [Write(row.changed_at, row.task_id, row.version) for row in rows]

    async def tasks(self, task_ids: Sequence[str]) -> list[Task]:
        """See the port."""
        rows = await self._read(self._tasks, {"of_tasks": task_ids})
        found = {task.task_id: task for task in self._opened(rows)}
        return [found[task_id] for task_id in task_ids if task_id in found]

    async def counts(self) -> list[Count]:
        """See the port."""
        rows = await self._read(statements.COUNTS, {})
        return [Count(row.task_id, row.attempt, row.tokens or 0, row.tenant) for row in rows]

    def _opened(self, rows: Sequence[sa.Row[Any]]) -> list[Task]:
        return [self._sealing.opened_task(task_of_row(row), one_of_many=True) for row in rows]

    async def _read(self, query: sa.Select[Any], given: dict[str, Any]) -> Sequence[sa.Row[Any]]:
        async with self._database.read() as connection:
            return (await connection.execute(query, given)).all()


def _of(whose: str) -> dict[str, str]:
    return {"whose": whose} if whose else {}
