"""Channels to the mesh: one way to write an address, trace context and key on every call."""

from collections.abc import Callable
from typing import Any

import grpc
from opentelemetry import propagate

from devteam.mesh import options
from devteam.mesh.address import target_of

# The metadata key of the tenant that a call is made for.
TENANT_KEY = "devteam-tenant"


def open_channel(url: str, *, api_key: str = "", tenant: str = "") -> grpc.aio.Channel:
    """Open a channel to `url`: http://host:port, https://host:port (TLS), or any target that gRPC understands.

    Trace context, key and tenant go with every call but those that stream both ways: an interceptor would put a queue
    between such a call and its writer, so they pass `credentials` as their metadata. The channel connects when first
    used, and must be opened in a running event loop. Raises InvalidInput for a URL that names no host.
    """
    target, secure = target_of(url)
    metadata = (*credentials(api_key), *(((TENANT_KEY, tenant),) if tenant else ()))
    interceptors = [kind(metadata) for kind in (_UnaryUnary, _UnaryStream)]
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options.CLIENT, None, interceptors)
    return grpc.aio.insecure_channel(target, options.CLIENT, None, interceptors)


def open_blocking_channel(url: str) -> grpc.Channel:
    """Open a channel for threads that have no event loop; `credentials` go with each call. Raises InvalidInput."""
    target, secure = target_of(url)
    if secure:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options.CLIENT)
    return grpc.insecure_channel(target, options.CLIENT)


def credentials(api_key: str) -> tuple[tuple[str, str], ...]:
    """The metadata that shows `api_key`; empty without one."""
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


class _Outgoing:
    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def _details(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        for key, value in carrier.items():
            metadata.add(key, value)
        for key, value in self._metadata:
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
