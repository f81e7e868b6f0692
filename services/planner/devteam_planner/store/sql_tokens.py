"""Tokens in a SQL database."""

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite

from devteam.mesh.database import Database
from devteam_planner.domain import Batch
from devteam_planner.store import statements
from devteam_planner.store.tables import token_batches


class SqlTokenStore:
    """See ports.TokenStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        self._append = insert(token_batches).on_conflict_do_nothing()

    async def append(self, batches: Sequence[tuple[str, int, Batch]]) -> None:
        """See the port."""
        rows = [
            {
                "task_id": task_id,
                "attempt": attempt,
                "last_seq": batch.last_seq,
                "first_seq": batch.first_seq,
                "payload": batch.payload,
            }
            for task_id, attempt, batch in batches
        ]
        async with self._database.write() as connection:
            await connection.execute(self._append, rows)

    async def read(self, task_id: str, attempt: int, *, after: int, limit: int) -> list[Batch]:
        """See the port."""
        wanted = {"of_task": task_id, "of_attempt": attempt, "after": after, "at_most": limit}
        async with self._database.read() as connection:
            rows = await connection.execute(statements.BATCHES_AFTER, wanted)
            return [Batch(row.first_seq, row.last_seq, row.payload) for row in rows]

    async def last_seq(self, task_id: str, attempt: int) -> int:
        """See the port."""
        async with self._database.read() as connection:
            found = await connection.execute(statements.LAST_SEQ, {"of_task": task_id, "of_attempt": attempt})
            return found.scalar_one() or 0
