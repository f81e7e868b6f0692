"""How long calls take, by method and outcome."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.mesh.interceptors.call import Call
from devteam.mesh.interceptors.outcome import SUCCESS, outcome_of
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import record


@asynccontextmanager
async def metrics_layer(call: Call) -> AsyncIterator[None]:
    """Record the duration of the call. One whose caller hung up has a status of its own, and is no error."""
    started, (code, error_type) = time.perf_counter(), SUCCESS
    try:
        yield
    except asyncio.CancelledError as error:
        code = outcome_of(error).code
        raise
    except Exception as error:
        code, error_type = outcome_of(error)
        raise
    finally:
        method = call.method.removeprefix("/")
        record(catalog.RPC_SERVER_DURATION, time.perf_counter() - started, "grpc", method, code, error_type)
