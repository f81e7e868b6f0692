"""How the service shows itself to operators' tools."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.rpc.registry.mesh import Mesh

SERVICE = "devteam.v1.RegistryService"


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_answers_for_the_service_by_name(mesh: Mesh, service: str) -> None:
    """As a whole, and by the service's full name."""
    stub = health_pb2_grpc.HealthStub(mesh.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_does_not_know_other_services(mesh: Mesh) -> None:
    stub = health_pb2_grpc.HealthStub(mesh.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="devteam.v1.PlannerService"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1alpha", "v1"])
async def test_reflection_lists_the_service(mesh: Mesh, version: str) -> None:
    """Under both names that tools ask for."""
    assert SERVICE in await _listed(mesh, version)


async def test_reflection_describes_all_that_it_lists(mesh: Mesh) -> None:
    """Tools that describe a whole server ask for each of them."""
    for name in await _listed(mesh, "v1"):
        assert await _described(mesh, name), name


async def test_reflection_describes_a_method_by_its_name(mesh: Mesh) -> None:
    """And knows none that there is not."""
    assert await _described(mesh, f"{SERVICE}.Heartbeat")
    assert not await _described(mesh, f"{SERVICE}.Nothing")


async def _listed(mesh: Mesh, version: str) -> list[str]:
    answer = await _reflected(mesh, version, reflection_pb2.ServerReflectionRequest(list_services=""))
    return [service.name for service in answer.list_services_response.service]


async def _described(mesh: Mesh, symbol: str) -> bool:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    answer = await _reflected(mesh, "v1", request)
    return bool(answer.file_descriptor_response.file_descriptor_proto)


async def _reflected(
    mesh: Mesh, version: str, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    call = mesh.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return await anext(aiter(call(iter([request]))))
