"""A server of the suite's, that goes and comes back on the same port."""

from collections.abc import Callable

import grpc

from devteam.mesh import options
from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.ids import Ids
from devteam.mesh.interceptors.call import CallInterceptor
from devteam.mesh.interceptors.errors import error_layer


class Server:
    """Serves what `mounts` put on it at `host` and `port`; 0 takes a free one."""

    def __init__(self, host: str, port: int, ids: Ids, *mounts: Callable[[grpc.aio.Server], None]) -> None:
        self.port = port
        self._host = host
        self._ids = ids
        self._mounts = mounts
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        """Where a worker finds it."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Begin to answer, or answer again. Raises FailedPrecondition when the port is taken."""
        layers = [error_layer(self._ids)]
        self._server = grpc.aio.server(interceptors=[CallInterceptor(layers)], options=options.SERVER)
        for mount in self._mounts:
            mount(self._server)
        address = f"{self._host}:{self.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError:
            raise FailedPrecondition(
                f"cannot listen on {address}: stop what uses the port, or choose another --address",
                reason="PORT_TAKEN",
            ) from None
        await self._server.start()

    async def stop(self) -> None:
        """Break every connection, and be gone. Harmless when it is."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)
