"""Brings every row to the current key: those of older keys, those that are not encrypted, or all back to plain text."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from devteam.mesh.database import Connection, Database
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Attempt, Batch
from devteam_planner.store.rows import plan_of_row, row_value, task_of_row
from devteam_planner.store.sealing import place_of_batch, turned_attempt, turned_plan, turned_task
from devteam_planner.store.statements import OF_PLAN
from devteam_planner.store.tables import attempts, plans, tasks, token_batches

# Rows that are read at once: an output may have 3 MiB.
_ROWS = 50

_Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A batch of a table's rows: how many are `seen` by now, out of `total`, and how many of this batch `changed`."""

    table: str
    seen: int
    total: int
    changed: int


class Rotation:
    """Goes through a database, beside Planners that work on it.

    Rows that are as they should be stay untouched, so one that broke off is simply begun again.
    """

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher
        self._missed = 0

    async def run(self) -> AsyncGenerator[Rotated, None]:
        """Tells how far it is, after every batch. Raises Unavailable, also for a row that no key opens."""
        for table in (plans, tasks, attempts, token_batches):
            self._missed = 1
            while self._missed:
                self._missed = 0
                async with aclosing(self._through(table)) as steps:
                    async for told in steps:
                        yield told
        # Also where there was nothing to change: the run before may have broken off just here.
        await self._database.scrub()

    async def _through(self, table: sa.Table) -> AsyncGenerator[Rotated, None]:
        async with self._database.read() as connection:
            total = await connection.scalar(sa.select(sa.func.count()).select_from(table))
        seen, after = 0, None
        yield Rotated(table.name, seen, total, 0)
        while rows := await self._next(table, after):
            seen += len(rows)
            yield Rotated(table.name, seen, max(total, seen), await self._changed(table, rows))
            after = [rows[-1]._mapping[key.name] for key in table.primary_key]  # noqa: SLF001 - SQLAlchemy's public name

    async def _next(self, table: sa.Table, after: Sequence[Any] | None) -> Sequence[sa.Row[Any]]:
        keys = list(table.primary_key)
        query = sa.select(table).order_by(*keys).limit(_ROWS)
        if table is tasks:
            query = query.add_columns(*OF_PLAN).join(plans, plans.c.plan_id == tasks.c.plan_id)
        if after is not None:
            query = query.where(sa.tuple_(*keys) > sa.tuple_(*after))
        async with self._database.read() as connection:
            return (await connection.execute(query)).all()

    async def _changed(self, table: sa.Table, rows: Sequence[sa.Row[Any]]) -> int:
        new = [(row, values) for row in rows if (values := _TURNS[table.name](self, row))]
        changed = 0
        if new:
            async with self._database.write() as connection:
                for row, values in new:
                    changed += await _replace(connection, table, row, values)
            self._missed += len(new) - changed
        return changed

    def _turn(self, place: str, kept: str) -> str:
        if self._cipher.is_current(kept):
            return kept
        return self._cipher.seal_text(place, self._cipher.open_text(place, kept))

    def of_plan(self, row: sa.Row[Any]) -> _Values:
        """What has to change in a plan's row."""
        before = plan_of_row(row)
        after = turned_plan(before, self._turn)
        return {} if after == before else {"input": dict(after.input), "request_digest": after.request_digest}

    def of_task(self, row: sa.Row[Any]) -> _Values:
        """What has to change in a task's row."""
        before = task_of_row(row)
        after = turned_task(before, self._turn)
        if after == before:
            return {}
        return {
            "spec": asdict(after.spec),
            "output": after.output,
            "wait_reason": after.wait_reason,
            "failure": row_value(after.failure),
        }

    def of_attempt(self, row: sa.Row[Any]) -> _Values:
        """What has to change in an attempt's row."""
        before = Attempt(row.task_id, row.number, row.reason)
        after = turned_attempt(before, self._turn)
        return {} if after == before else {"reason": after.reason}

    def of_batch(self, row: sa.Row[Any]) -> _Values:
        """What has to change in a row of tokens."""
        if self._cipher.is_current(row.payload):
            return {}
        place = place_of_batch(row.task_id, row.attempt, Batch(row.first_seq, row.last_seq, b""))
        return {"payload": self._cipher.seal(place, self._cipher.open(place, row.payload))}


_TURNS: Mapping[str, Any] = {
    "plans": Rotation.of_plan,
    "tasks": Rotation.of_task,
    "attempts": Rotation.of_attempt,
    "token_batches": Rotation.of_batch,
}


async def _replace(connection: Connection, table: sa.Table, row: sa.Row[Any], values: _Values) -> int:
    """Write it, unless somebody else has written meanwhile. What is seen of it stays, and so does its version."""
    update = sa.update(table).values(values)
    for key in table.primary_key:
        update = update.where(key == row._mapping[key.name])  # noqa: SLF001 - SQLAlchemy's public name
    if table is tasks:
        update = update.where(tasks.c.version == row.version)
    if table is token_batches:
        # Batches that were merged have the key of the last of them.
        update = update.where(token_batches.c.first_seq == row.first_seq)
    return (await connection.execute(update)).rowcount
