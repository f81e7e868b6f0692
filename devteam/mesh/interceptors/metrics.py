"""How long calls take, by method and outcome."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.call import Call
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import record


@asynccontextmanager
async def metrics_layer(call: Call) -> AsyncIterator[None]:
    """Record the duration of the call."""
    started, error_type = time.perf_counter(), ""
    try:
        yield
    except DevTeamError as error:
        error_type = error.reason
        raise
    except Exception as error:
        error_type = type(error).__name__
        raise
    finally:
        method = call.method.removeprefix("/")
        record(catalog.RPC_SERVER_DURATION, time.perf_counter() - started, "grpc", method, error_type)
