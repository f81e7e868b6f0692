"""Keys remembered in SQLite or PostgreSQL."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    DateTime,
    Float,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from devteam.mesh.database import Database
from devteam_registry.keys.domain import JoinToken, Key, KeyPage, KeyQuery
from devteam_registry.store.key_rows import key_from_row, row_from_key, row_from_token, token_from_row
from devteam_registry.store.sql import metadata

_keys = Table(
    "registry_keys",
    metadata,
    Column("key_id", String(8), primary_key=True),
    Column("digest", LargeBinary(32)),
    Column("name", String(128)),
    Column("role", String(16)),
    Column("tenant", String(64)),
    Column("queues", JSON),
    Column("worker_id", String(128)),
    Column("rate", Float),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True)),
    Column("created_by", String(8)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
)
_tokens = Table(
    "registry_join_tokens",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("tenant", String(64)),
    Column("queues", JSON),
    Column("worker_id", String(128)),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_by", String(8)),
    Column("used_at", DateTime(timezone=True)),
)
_IN_ORDER = (_keys.c.created_at, _keys.c.key_id)


class SqlKeyStore:
    """A KeyStore on a database whose schema is up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load_valid(self, now: datetime) -> list[Key]:
        """Every key that has not ended, in the order that they were made in. Raises Unavailable."""
        async with self._database.read() as connection:
            statement = select(_keys).where(_valid(now)).order_by(*_IN_ORDER)
            return [key_from_row(dict(row)) for row in (await connection.execute(statement)).mappings()]

    async def get(self, key_id: str) -> Key | None:
        """One key, also one that has ended. Raises Unavailable."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(_keys).where(_keys.c.key_id == key_id))).mappings()
            return next((key_from_row(dict(row)) for row in rows), None)

    async def page(self, query: KeyQuery, now: datetime) -> KeyPage:
        """A page of keys, in the order that they were made in. Raises Unavailable."""
        statement = select(_keys).order_by(*_IN_ORDER).limit(query.size + 1)
        if query.after:
            after = select(*_IN_ORDER).where(_keys.c.key_id == query.after).scalar_subquery()
            statement = statement.where(tuple_(*_IN_ORDER) > after)
        if query.tenant:
            statement = statement.where(_keys.c.tenant == query.tenant)
        if not query.include_ended:
            statement = statement.where(_valid(now))
        async with self._database.read() as connection:
            found = [key_from_row(dict(row)) for row in (await connection.execute(statement)).mappings()]
        return KeyPage(tuple(found[: query.size]), more=len(found) > query.size)

    async def add(self, key: Key) -> None:
        """A new key. Raises Unavailable."""
        async with self._database.write() as connection:
            await connection.execute(insert(_keys), row_from_key(key))

    async def revoke(self, key_id: str, now: datetime) -> None:
        """End a key, unless it was revoked before. Raises Unavailable."""
        statement = update(_keys).where(_keys.c.key_id == key_id, _keys.c.revoked_at.is_(None)).values(revoked_at=now)
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """When keys were last used, all of them or none. Raises Unavailable."""
        if uses:
            statement = update(_keys).where(_keys.c.key_id == bindparam("used")).values(last_used_at=bindparam("at"))
            rows = [{"used": key_id, "at": at} for key_id, at in sorted(uses.items())]
            async with self._database.write() as connection:
                await connection.execute(statement, rows)

    async def add_token(self, token: JoinToken, now: datetime) -> None:
        """A new join token; those that have expired are forgotten. Raises Unavailable."""
        async with self._database.write() as connection:
            await connection.execute(delete(_tokens).where(_tokens.c.expires_at <= now))
            await connection.execute(insert(_tokens), row_from_token(token))

    async def find_token(self, digest: bytes) -> JoinToken | None:
        """The token with this digest, also one that was used. Raises Unavailable."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(_tokens).where(_tokens.c.digest == digest))).mappings()
            return next((token_from_row(dict(row)) for row in rows), None)

    async def use_token(self, digest: bytes, key: Key, now: datetime) -> bool:
        """Use an open token up, and add the key that it was exchanged for. Raises Unavailable."""
        is_open = (_tokens.c.digest == digest, _tokens.c.used_at.is_(None), _tokens.c.expires_at > now)
        async with self._database.write() as connection:
            used = await connection.execute(update(_tokens).where(*is_open).values(used_at=now))
            if not used.rowcount:
                return False
            await connection.execute(insert(_keys), row_from_key(key))
            return True


def _valid(now: datetime) -> ColumnElement[bool]:
    unexpired = or_(_keys.c.expires_at.is_(None), _keys.c.expires_at > now)
    return _keys.c.revoked_at.is_(None) & unexpired
