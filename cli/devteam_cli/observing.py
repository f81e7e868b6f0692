"""Logs and spans of a local mesh, kept in its data folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from devteam.mesh.logs import configure_logs
from devteam.mesh.telemetry import configure_telemetry
from devteam_cli.data_folder import DataFolder


@contextmanager
def observing(data: DataFolder, log_level: str) -> Iterator[None]:
    """Send this process's log lines and spans to the data folder, so that the terminal stays readable."""
    with data.mesh_log.open("a", encoding="utf-8", buffering=1) as log:
        configure_logs("devteam", level=log_level, stream=log)
        telemetry = configure_telemetry("devteam", data.traces)
        try:
            yield
        finally:
            if telemetry is not None:
                telemetry.shutdown()
