"""`devteam health`: whether one service can be used, as an exit code. For probes of containers."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli.failures import Exit, code_of, complain

if TYPE_CHECKING:
    import grpc

Address = Annotated[str, typer.Argument(help="http://HOST:PORT or https://HOST:PORT, of one process.")]
Service = Annotated[str, typer.Argument(help="Full name, as devteam.v1.PlannerService [the process as a whole].")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1, max=60)]
Ca = Annotated[
    Path | None,
    typer.Option(help="PEM file of who signs its certificate [whom this machine trusts].", envvar="DEVTEAM_CA_FILE"),
]
Cert = Annotated[
    Path | None, typer.Option(help="PEM file of the certificate to show [none].", envvar="DEVTEAM_CERT_FILE")
]
Key = Annotated[Path | None, typer.Option(help="The key of --cert.", envvar="DEVTEAM_KEY_FILE")]


def health(
    *,
    address: Address,
    service: Service = "",
    timeout: Timeout = 5.0,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Ask a service's gRPC health; exit code 0: it serves, 1: it does not for now, 3: no such service, 4: no answer."""
    try:
        pems = [_read(file) for file in (ca, key, cert)]
        serving = asyncio.run(_asked(address, service, timeout, pems))
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    print("SERVING" if serving else "NOT_SERVING")  # noqa: T201 - the command's output
    raise typer.Exit(Exit.OK if serving else Exit.FAILED)


def _read(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        from devteam.mesh.errors import FailedPrecondition

        raise FailedPrecondition(f"{file} cannot be read: {error.strerror}") from None


def _channel(address: str, pems: "list[bytes | None]") -> "grpc.aio.Channel":
    import grpc

    from devteam.mesh import options
    from devteam.mesh.address import target_of

    target, secure = target_of(address)
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*pems), options.CLIENT)
    return grpc.aio.insecure_channel(target, options.CLIENT)


async def _asked(address: str, service: str, timeout: float, pems: "list[bytes | None]") -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with _channel(address, pems) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _in_words(error, address, service, timeout) from error
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _in_words(error: "grpc.aio.AioRpcError", address: str, service: str, timeout: float) -> DevTeamError:
    import grpc

    from devteam.mesh.errors import NotFound, Unavailable
    from devteam.mesh.status import from_rpc

    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            return NotFound("service", service)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(f"{address} gave no answer within {timeout:g} s")
    return from_rpc(error)
