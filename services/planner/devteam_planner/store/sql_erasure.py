"""Plans that are taken out of a SQL database for good."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from devteam.mesh.database import Database
from devteam_planner.erasure import Head
from devteam_planner.store.tables import plans, tasks, token_batches

# Rows that one transaction deletes: some 10 ms, in which nobody else writes to SQLite.
_AT_ONCE = 500

_IDS: sa.BindParameter[Any] = sa.bindparam("of_plans", expanding=True)
_HEADS = (
    sa.select(plans.c.plan_id, plans.c.tenant, plans.c.created_at, plans.c.ended_at)
    .where(plans.c.sole == sa.bindparam("sole"), plans.c.plan_id > sa.bindparam("after"))
    .order_by(plans.c.plan_id)
    .limit(sa.bindparam("at_most"))
)
_OPEN = sa.select(plans.c.plan_id).where(plans.c.plan_id.in_(_IDS), plans.c.ended_at.is_(None))
_ENDED = sa.select(plans.c.plan_id).where(plans.c.plan_id.in_(_IDS), plans.c.ended_at.is_not(None))
_THEIR_TASKS = sa.select(tasks.c.task_id).where(tasks.c.plan_id.in_(_IDS))


def _some_of(table: sa.Table, keys: Sequence[sa.Column[Any]]) -> sa.Delete:
    """Rows of the tasks of `of_plans`, so many at once."""
    some = sa.select(*keys).where(table.c.task_id.in_(_THEIR_TASKS)).limit(_AT_ONCE)
    return sa.delete(table).where(table.c.task_id.in_(_THEIR_TASKS), sa.tuple_(*keys).in_(some))


_SOME_TOKENS = _some_of(token_batches, list(token_batches.primary_key))
# Their attempts go with them.
_SOME_TASKS = sa.delete(tasks).where(
    tasks.c.task_id.in_(_THEIR_TASKS.order_by(tasks.c.task_id).limit(_AT_ONCE)),
)
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
        return await self._those(_OPEN, list(plan_ids))

    async def erase(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        """See the port."""
        ended = sorted(await self._those(_ENDED, plan_ids))
        if not ended:
            return 0, 0
        await self._all(_SOME_TOKENS, ended)
        erased = await self._all(_SOME_TASKS, ended)
        async with self._database.write() as connection:
            return (await connection.execute(_PLANS, {"of_plans": ended})).rowcount, erased

    async def scrub(self) -> None:
        """See the port."""
        await self._database.scrub()

    async def _those(self, query: sa.Select[Any], plan_ids: Sequence[str]) -> set[str]:
        async with self._database.read() as connection:
            found = await connection.execute(query, {"of_plans": plan_ids})
            return {row.plan_id for row in found}

    async def _all(self, some: sa.Delete, plan_ids: Sequence[str]) -> int:
        deleted, last = 0, _AT_ONCE
        while last == _AT_ONCE:
            async with self._database.write() as connection:
                last = (await connection.execute(some, {"of_plans": plan_ids})).rowcount
            deleted += last
        return deleted
