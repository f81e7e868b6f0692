"""A database as something that a service stands on."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from devteam.mesh.clock import Clock
from devteam.mesh.database import Database
from devteam.mesh.errors import Unavailable
from devteam.mesh.standing import Footing

# Of SQLite something that lies in its file: it would do without that for less.
_SOMETHING = {"sqlite": sa.text("SELECT count(*) FROM sqlite_master"), "postgresql": sa.text("SELECT 1")}

_FULL = "its disk is full, so nothing new is accepted: make room there; what runs goes on"
_AWAY = "it cannot be used: see whether it runs and can be reached; what needs it is refused until then"


def database_footing(url: str, database: Database | None, clock: Clock) -> Footing:
    """The database at `url`; None: the memory of the process."""

    async def look() -> str:
        return "" if database is None else await _trouble(database)

    return Footing("database", place_of(url), clock, look)


def place_of(url: str) -> str:
    """Where a database is, without user, password and options: "sqlite FILE", "postgresql HOST:PORT/NAME", "memory"."""
    if url == "memory":
        return url
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        # The folder may tell whose machine it is.
        return f"sqlite {Path(parts.database or '').name}".strip()
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.get_backend_name()} {parts.host or 'localhost'}{port}/{parts.database or ''}"


async def _trouble(database: Database) -> str:
    if database.full:
        return _FULL
    try:
        async with database.read() as connection:
            await connection.scalar(_SOMETHING[database.dialect])
    except Unavailable:
        return _AWAY
    return ""
