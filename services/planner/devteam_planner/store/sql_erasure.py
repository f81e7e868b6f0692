"""Plans that are taken out of a SQL database for good."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from devteam.mesh.database import Database
from devteam_planner.erasure import Head
from devteam_planner.store.tables import plans, tasks, token_batches

# Rows that one transaction deletes: some 10 ms, in which nobody else writes to SQLite. And the tasks that they are of,
# one by one: asked for those of plans, PostgreSQL would rather read all tokens that there are.
_ROWS, _TASKS = 500, 100
# A statement of PostgreSQL takes 65,535 parameters, one of SQLite fewer here and more there.
_IDS_AT_ONCE = 1_000

_IDS: sa.BindParameter[Any] = sa.bindparam("of_plans", expanding=True)
_HEADS = (
    sa.select(plans.c.plan_id, plans.c.tenant, plans.c.created_at, plans.c.ended_at)
    .where(plans.c.sole == sa.bindparam("sole"), plans.c.plan_id > sa.bindparam("after"))
    .order_by(plans.c.plan_id)
    .limit(sa.bindparam("at_most"))
)
_OPEN = sa.select(plans.c.plan_id).where(plans.c.plan_id.in_(_IDS), plans.c.ended_at.is_(None))
_ENDED = sa.select(plans.c.plan_id).where(plans.c.plan_id.in_(_IDS), plans.c.ended_at.is_not(None))
_SOME_TASKS = sa.select(tasks.c.task_id).where(tasks.c.plan_id.in_(_IDS)).limit(_TASKS)
_OF_TASKS: sa.BindParameter[Any] = sa.bindparam("of_tasks", expanding=True)
# Else what is being merged in this moment would come back after it was deleted.
_HOLD = sa.select(tasks.c.task_id).where(tasks.c.task_id.in_(_OF_TASKS)).order_by(tasks.c.task_id)
_HOLD = _HOLD.with_for_update(key_share=True)
_KEY = sa.tuple_(*token_batches.primary_key)
_LAST = sa.tuple_(*(sa.bindparam(f"last_{key.name}", type_=key.type) for key in token_batches.primary_key))
_TOKENS_KEYS = (
    sa.select(*token_batches.primary_key)
    .where(token_batches.c.task_id.in_(_OF_TASKS))
    .order_by(*token_batches.primary_key)
    .limit(_ROWS)
)
_TOKENS_UP_TO = sa.delete(token_batches).where(token_batches.c.task_id.in_(_OF_TASKS), _KEY <= _LAST)
# Their attempts go with them.
_THESE_TASKS = sa.delete(tasks).where(tasks.c.task_id.in_(_OF_TASKS))
_PLANS = sa.delete(plans).where(plans.c.plan_id.in_(_IDS), plans.c.ended_at.is_not(None))


class SqlErasures:
    """See erasure.ErasureStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heads(self, *, sole: bool, after: str, limit: int) -> list[Head]:
        """See the port."""
        async with self._database.read() as connection:
            rows = await connection.execute(_HEADS, {"sole": sole, "after": after, "at_most": limit})
            return [Head(row.plan_id, row.tenant, row.created_at, row.ended_at) for row in rows]

    async def open_of(self, plan_ids: Collection[str]) -> set[str]:
        """See the port."""
        still, asked = set[str](), list(plan_ids)
        for start in range(0, len(asked), _IDS_AT_ONCE):
            still |= await self._those(_OPEN, asked[start : start + _IDS_AT_ONCE])
        return still

    async def erase(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        """See the port."""
        ended = sorted(await self._those(_ENDED, plan_ids))
        if not ended:
            return 0, 0
        erased = 0
        while task_ids := await self._some_tasks(ended):
            while await self._some_tokens(task_ids):
                pass
            erased += await self._write(_THESE_TASKS, {"of_tasks": task_ids})
        return await self._write(_PLANS, {"of_plans": ended}), erased

    async def scrub(self) -> None:
        """See the port."""
        await self._database.scrub()

    async def _those(self, query: sa.Select[Any], plan_ids: Sequence[str]) -> set[str]:
        async with self._database.read() as connection:
            found = await connection.execute(query, {"of_plans": plan_ids})
            return {row.plan_id for row in found}

    async def _some_tasks(self, plan_ids: Sequence[str]) -> list[str]:
        async with self._database.read() as connection:
            found = await connection.execute(_SOME_TASKS, {"of_plans": plan_ids})
            return [row.task_id for row in found]

    async def _some_tokens(self, task_ids: Sequence[str]) -> bool:
        """Delete the first of their tokens; whether there may be more."""
        async with self._database.write() as connection:
            await connection.execute(_HOLD, {"of_tasks": task_ids})
            keys = (await connection.execute(_TOKENS_KEYS, {"of_tasks": task_ids})).mappings().all()
            if keys:
                last = {f"last_{name}": value for name, value in keys[-1].items()}
                await connection.execute(_TOKENS_UP_TO, {"of_tasks": task_ids, **last})
        return len(keys) == _ROWS

    async def _write(self, statement: sa.Delete, given: Mapping[str, Any]) -> int:
        async with self._database.write() as connection:
            return (await connection.execute(statement, given)).rowcount
