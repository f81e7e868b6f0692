"""Tokens in a SQL database."""

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite

from devteam.mesh.database import Connection, Database
from devteam_planner.cipher import Cipher
from devteam_planner.domain import Batch
from devteam_planner.ports import Entry
from devteam_planner.store import statements
from devteam_planner.store.rows import Row, row_of_entry
from devteam_planner.store.sealing import Sealing


class SqlTokenStore:
    """See ports.TokenStore."""

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._sealing = Sealing(cipher or Cipher())
        insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        self._append = statements.append_tokens(insert)

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """See the port."""
        async with self._database.write() as connection:
            stored = await connection.execute(self._append, [self._row(entry) for entry in entries])
            if stored.rowcount == len(entries):
                return []
            return [entry for entry in entries if not await _is_stored(connection, entry)]

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

    def _row(self, entry: Entry) -> Row:
        return {**row_of_entry(entry), "its_payload": self._sealing.payload(entry)}


async def _is_stored(connection: Connection, entry: Entry) -> bool:
    found = await connection.execute(statements.IS_STORED, row_of_entry(entry))
    return found.scalar_one_or_none() is not None
