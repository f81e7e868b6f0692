"""How long calls take, by method and outcome."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import metrics

from devteam.mesh import names
from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.call import Call

_duration = metrics.get_meter(names.SCOPE).create_histogram(
    names.RPC_SERVER_DURATION, unit="s", description="Duration of calls, streams included"
)


@asynccontextmanager
async def metrics_layer(call: Call) -> AsyncIterator[None]:
    """Record the duration of the call."""
    started = time.perf_counter()
    attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: call.method.removeprefix("/")}
    try:
        yield
    except DevTeamError as error:
        attributes[names.ERROR_TYPE] = error.reason
        raise
    except Exception as error:
        attributes[names.ERROR_TYPE] = type(error).__name__
        raise
    finally:
        _duration.record(time.perf_counter() - started, attributes)
