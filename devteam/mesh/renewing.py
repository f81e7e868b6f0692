"""A channel that outlives its certificates."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

import grpc

from devteam.mesh.pem import PemFiles, Pems


class RenewingChannel(grpc.aio.Channel):
    """Connects anew, with what the files then hold, for the first call after they have changed.

    Calls that are under way keep the connection that they have, and it ends with the last of them. Raises
    FailedPrecondition when the files cannot be used to begin with.
    """

    def __init__(self, pems: PemFiles, connect: Callable[[Pems], grpc.aio.Channel]) -> None:
        self._pems = pems
        self._connect = connect
        self._channel = connect(pems.read())
        self._methods: dict[object, Any] = {}
        # Each with the channel that it began on, which is closed once nobody holds it.
        self._calls: WeakKeyDictionary[Any, grpc.aio.Channel] = WeakKeyDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close it. Calls on earlier connections are not waited for."""
        await self._channel.close(grace)
        for call in list(self._calls):
            call.cancel()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's signature
        """How the connection for the next call stands."""
        return self._now().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As its port says."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """As its port says."""
        await self._now().channel_ready()

    def unary_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        """As its port says, and so are the others."""
        return self._callable("unary_unary", method, serializers, more)

    def unary_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        """See `unary_unary`."""
        return self._callable("unary_stream", method, serializers, more)

    def stream_unary(self, method: str, *serializers: Any, **more: Any) -> Any:
        """See `unary_unary`."""
        return self._callable("stream_unary", method, serializers, more)

    def stream_stream(self, method: str, *serializers: Any, **more: Any) -> Any:
        """See `unary_unary`."""
        return self._callable("stream_stream", method, serializers, more)

    def _callable(self, kind: str, method: str, serializers: tuple[Any, ...], more: dict[str, Any]) -> Any:
        # Not one for each stub: some make a new one for every call.
        key = kind, method, serializers, tuple(more.items())

        def call(*arguments: Any, **options: Any) -> Any:
            channel = self._now()
            made = self._methods.get(key)
            if made is None:
                self._methods[key] = made = getattr(channel, kind)(method, *serializers, **more)
            begun = made(*arguments, **options)
            self._calls[begun] = channel
            return begun

        return call

    def _now(self) -> grpc.aio.Channel:
        # A few microseconds: files are looked at, and read only once they have changed.
        pems = self._pems.renewed()
        if pems is not None:
            self._channel, self._methods = self._connect(pems), {}
        return self._channel
