"""Tokens in a SQL database."""

from collections.abc import Callable, Sequence

from sqlalchemy.dialects import postgresql, sqlite

from devteam.mesh.database import Connection, Database
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Batch
from devteam_planner.ports import Entry, Stretch
from devteam_planner.store import statements
from devteam_planner.store.rows import Row, row_of_entry
from devteam_planner.store.sealing import Sealing


class _Changed(Exception):
    """The rows are no longer those that were read."""


class SqlTokenStore:
    """See ports.TokenStore."""

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._sealing = Sealing(cipher or Cipher())
        insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        self._append = statements.append_tokens(insert)
        self._unstored = statements.unstored(database.dialect)

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """See the port."""
        async with self._database.write() as connection:
            stored = await connection.execute(self._append, [self._row(entry) for entry in entries])
            if stored.rowcount == len(entries):
                return []
            wanted = [(place, e.task_id, e.attempt, e.batch.last_seq) for place, e in enumerate(entries)]
            places = set((await connection.execute(self._unstored, {"entries": wanted})).scalars())
        return [entry for place, entry in enumerate(entries) if place in places]

    async def read(self, task_id: str, attempt: int, *, after: int, limit: int) -> list[Batch]:
        """See the port."""
        wanted = {"of_task": task_id, "of_attempt": attempt, "after": after, "at_most": limit}
        async with self._database.read() as connection:
            rows = await connection.execute(statements.BATCHES_AFTER, wanted)
            batches = [Batch(row.first_seq, row.last_seq, row.payload) for row in rows]
        return [self._sealing.opened_batch(task_id, attempt, batch) for batch in batches]

    async def last_seq(self, task_id: str, attempt: int) -> int:
        """See the port."""
        async with self._database.read() as connection:
            found = await connection.execute(statements.LAST_SEQ, {"of_task": task_id, "of_attempt": attempt})
            return found.scalar_one() or 0

    async def stretches(self, task_id: str, *, after: tuple[int, int], limit: int) -> list[Stretch]:
        """See the port."""
        wanted = {"of_task": task_id, "after_attempt": after[0], "after": after[1], "at_most": limit}
        async with self._database.read() as connection:
            rows = await connection.execute(statements.STRETCHES, wanted)
            return [Stretch(row.attempt, row.first_seq, row.last_seq, row.size) for row in rows]

    async def merge(self, task_id: str, stretch: Stretch, merged: Callable[[Sequence[Batch]], Batch | None]) -> bool:
        """See the port."""
        within = {
            "of_task": task_id,
            "of_attempt": stretch.attempt,
            "first": stretch.first_seq,
            "last": stretch.last_seq,
        }
        try:
            async with self._database.write() as connection:
                batches = await self._held(connection, within)
                one = merged(batches) if batches else None
                if one is not None:
                    await _delete(connection, within, len(batches))
                    await connection.execute(statements.ADD_BATCH, self._merged_row(task_id, stretch.attempt, one))
        except _Changed:
            return False
        return one is not None

    async def _held(self, connection: Connection, within: Row) -> list[Batch]:
        """The batches of a stretch; on PostgreSQL nobody changes them before the transaction's end.

        None if their attempt is not over.
        """
        if (await connection.execute(statements.HOLD_OVER, within)).scalar_one_or_none() is None:
            return []
        rows = await connection.execute(statements.BATCHES_WITHIN, within)
        task_id, attempt = within["of_task"], within["of_attempt"]
        batches = (Batch(row.first_seq, row.last_seq, row.payload) for row in rows)
        return [self._sealing.opened_batch(task_id, attempt, batch) for batch in batches]

    def _merged_row(self, task_id: str, attempt: int, batch: Batch) -> Row:
        return {
            "task_id": task_id,
            "attempt": attempt,
            "first_seq": batch.first_seq,
            "last_seq": batch.last_seq,
            "payload": self._sealing.payload(task_id, attempt, batch),
        }

    def _row(self, entry: Entry) -> Row:
        return {**row_of_entry(entry), "its_payload": self._sealing.payload(entry.task_id, entry.attempt, entry.batch)}


async def _delete(connection: Connection, within: Row, count: int) -> None:
    """Delete what was read, and nothing that has come or gone since."""
    if (await connection.execute(statements.DELETE_WITHIN, within)).rowcount != count:
        raise _Changed
