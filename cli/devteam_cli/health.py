"""`devteam health`: whether one service can be used, as an exit code. For probes of containers."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli.failures import Exit, code_of, complain

if TYPE_CHECKING:
    import grpc

    from devteam.mesh.tls import TlsFiles

Address = Annotated[str, typer.Argument(help="http://HOST:PORT or https://HOST:PORT, of one process.")]
Service = Annotated[str, typer.Argument(help="Full name, as devteam.v1.PlannerService [the process as a whole].")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1, max=60)]
Ca = Annotated[Path | None, typer.Option(help="PEM file of who signs its certificate (DEVTEAM_CA_FILE).")]
Cert = Annotated[Path | None, typer.Option(help="PEM file of the certificate to show (DEVTEAM_CERT_FILE).")]
Key = Annotated[Path | None, typer.Option(help="The key of --cert (DEVTEAM_KEY_FILE).")]


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
    from devteam.mesh.tls import tls_files

    try:
        serving = asyncio.run(_asked(address, service, timeout, tls_files(ca, cert, key, os.environ)))
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    print("SERVING" if serving else "NOT_SERVING")  # noqa: T201 - the command's output
    raise typer.Exit(Exit.OK if serving else Exit.FAILED)


async def _asked(address: str, service: str, timeout: float, tls: "TlsFiles | None") -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from devteam.mesh.channel import open_channel

    async with open_channel(address, tls=tls) as channel:
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
