"""Channels to the mesh: one way to write an address, a span and trace context, and key on every call."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from devteam.mesh import names, options
from devteam.mesh.address import target_of
from devteam.mesh.pem import PemFiles, Pems
from devteam.mesh.renewing import RenewingChannel
from devteam.mesh.tls import TlsFiles

# The metadata key of the tenant that a call is made for.
TENANT_KEY = "devteam-tenant"

_tracer = trace.get_tracer(names.SCOPE)


def open_channel(
    url: str, *, api_key: str = "", tenant: str = "", tls: TlsFiles | None = None, eager: bool = False
) -> grpc.aio.Channel:
    """Open a channel to `url`: http://host:port, https://host:port (TLS), or any target that gRPC understands.

    Trace context, key and tenant go with every call but those that stream both ways: an interceptor would put a queue
    between such a call and its writer, so they pass `credentials` as their metadata. Calls with one answer are spans of
    their own, if `names.is_traced`; streams are not, because whoever reads one knows better when that begins and ends.
    The channel connects when first used, and must be opened in a running event loop. `tls` holds for https:// alone:
    what to show, and whom to trust instead of the public authorities. An `eager` one tries to connect every half second
    while nobody answers, others within three; it is for services, and not for whoever comes in thousands. Raises
    InvalidInput for a URL that names no host, and FailedPrecondition when the files cannot be used.
    """
    target, secure = target_of(url)
    settings = options.EAGER_CLIENT if eager else options.CLIENT
    metadata = (*credentials(api_key), *(((TENANT_KEY, tenant),) if tenant else ()))
    interceptors = [kind(metadata) for kind in (_UnaryUnary, _UnaryStream)]
    if not secure:
        return grpc.aio.insecure_channel(target, settings, None, interceptors)

    def connect(pems: Pems) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(target, _shown(pems), settings, None, interceptors)

    return connect(Pems()) if tls is None else RenewingChannel(PemFiles(tls), connect)


def open_blocking_channel(url: str, tls: TlsFiles | None = None) -> grpc.Channel:
    """Open a channel for threads that have no event loop; `credentials` go with each call.

    It stays with what the files of `tls` hold now. Raises InvalidInput and FailedPrecondition, as `open_channel` does.
    """
    target, secure = target_of(url)
    if secure:
        return grpc.secure_channel(target, _shown(PemFiles(tls or TlsFiles()).read()), options.CLIENT)
    return grpc.insecure_channel(target, options.CLIENT)


def _shown(pems: Pems) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(pems.ca, pems.key, pems.cert)


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
        method = _name(client_call_details.method)
        if not names.is_traced(method):
            return await continuation(self._details(client_call_details), request)
        with _call_span(method.removeprefix("/")) as span:
            call = await continuation(self._details(client_call_details), request)
            _note(span, await _outcome(call))
            return call


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(self._details(client_call_details), request)


@contextmanager
def _call_span(method: str) -> Iterator[Span]:
    with _tracer.start_as_current_span(
        method,
        kind=SpanKind.CLIENT,
        attributes={names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method},
        record_exception=False,
    ) as span:
        try:
            yield span
        except asyncio.CancelledError:
            _note(span, grpc.StatusCode.CANCELLED)
            raise


async def _outcome(call: Any) -> grpc.StatusCode:
    """How the call ends. Whoever waits for it and gives up, gives up the call."""
    try:
        code: grpc.StatusCode = await call.code()
    except asyncio.CancelledError:
        call.cancel()
        raise
    return code


def _note(span: Span, code: grpc.StatusCode) -> None:
    span.set_attribute(names.RPC_STATUS, code.name)
    if code is not grpc.StatusCode.OK:
        span.set_attribute(names.ERROR_TYPE, code.name)
        span.set_status(Status(StatusCode.ERROR, code.name))


def _name(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
