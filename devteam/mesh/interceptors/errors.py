"""Turns what a handler raises into a status; nothing internal ever reaches the caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.errors import DevTeamError, Internal, Unavailable
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors.call import Call, Layer

_log = structlog.get_logger()


def error_layer(ids: Ids) -> Layer:
    """Answer domain errors by the table of `status`, and anything else with INTERNAL and the id of a log entry."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except DevTeamError as error:
            await call.context.abort_with_status(status.to_status(error))
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            # A CancelledError of the handler's own making would leave the client without any status, for ever.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            stopping = Unavailable("the call was interrupted; try again", reason="INTERRUPTED")
            await call.context.abort_with_status(status.to_status(stopping))
        except NotImplementedError as error:
            # The library's own servicers leave calls of their contracts to those who want them: that is no defect.
            if call.context.code() is not grpc.StatusCode.UNIMPLEMENTED:
                await _defect(call, ids, error)
            await call.context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not answer such calls")
        except Exception as error:  # noqa: BLE001 - the last line of defence: logged in full, answered with an id
            await _defect(call, ids, error)

    return layer


async def _defect(call: Call, ids: Ids, error: Exception) -> None:
    entry = ids.new("err")
    _log.error("call failed", method=call.method, error_id=entry, exc_info=error)
    internal = Internal(f"internal error {entry}: the server's log has the cause", metadata={"error_id": entry})
    await call.context.abort_with_status(status.to_status(internal))
