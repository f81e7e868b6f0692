"""Channels to the mesh: one way to write an address, trace context and key on every call."""

from collections.abc import Callable
from typing import Any

import grpc
from opentelemetry import propagate

from devteam.mesh import options
from devteam.mesh.address import target_of


def open_channel(url: str, *, api_key: str = "") -> grpc.aio.Channel:
    """Open a channel to `url`: http://host:port, https://host:port (TLS), or any target that gRPC understands.

    Trace context and key go with every call but those that stream both ways: an interceptor would put a queue between
    such a call and its writer, so they pass `credentials` as their metadata. The channel connects when first used, and
    must be opened in a running event loop. Raises InvalidInput for a URL that names no host.
    """
    target, secure = target_of(url)
    interceptors = [kind(api_key) for kind in (_UnaryUnary, _UnaryStream)]
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options.CLIENT, None, interceptors)
    return grpc.aio.insecure_channel(target, options.CLIENT, None, interceptors)


def credentials(api_key: str) -> tuple[tuple[str, str], ...]:
    """The metadata that shows `api_key`; empty without one."""
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


class _Outgoing:
    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        for key, value in carrier.items():
            metadata.add(key, value)
        for key, value in credentials(self._api_key):
            metadata.add(key, value)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_Outgoing, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self._details(client_call_details), request)


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self._details(client_call_details), request)
