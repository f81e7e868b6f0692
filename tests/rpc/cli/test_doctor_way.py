"""What `devteam doctor` finds on the way to a mesh."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from devteam_cli.doctor import way
from devteam_cli.doctor.examination import Surroundings

from devteam.mesh.errors import Unauthenticated
from devteam.mesh.finding import Finding, Verdict
from devteam.mesh.server import Listen, MeshServer
from devteam.testing import FakeMesh
from devteam.v1 import registry_pb2
from tests.fakes.http_server import HttpServer, json_reply
from tests.fakes.ids import CountingIds
from tests.fakes.listener import Serve
from tests.fakes.mesh_server import ScriptedMesh, scripted_mesh
from tests.fakes.port import serving
from tests.rpc.cli.doctoring import PATIENT, SOON, around, seen, verdicts


async def test_the_whole_way_to_a_mesh() -> None:
    async with FakeMesh() as mesh:
        found = await seen(around(mesh.url))
    assert verdicts(found) == {
        "address": "ok", "proxy": "ok", "connection": "ok", "tls": "skipped", "grpc": "ok", "mesh": "ok",
    }  # fmt: skip
    assert found["mesh"].found == "a mesh answers: registry, router, planner"


async def test_nothing_listens() -> None:
    """What comes after is not looked at, and why is said."""
    found = await seen(around("http://127.0.0.1:1"))
    assert found["connection"].found == "127.0.0.1:1 cannot be reached (Connection refused)"
    assert "`devteam up`" in found["connection"].fix
    assert found["mesh"].found == "not looked at, because of connection"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nobody.invalid:1", "the name nobody.invalid does not resolve"),
        ("http://a..b:80", "the name a..b does not resolve"),
        ("http://", "'http://' is not of the form http://host:port"),
        ("http://[::1", "'http://[::1' is not of the form http://host:port"),
    ],
)
async def test_an_address_that_means_nothing(url: str, said: str) -> None:
    found = await seen(around(url))
    assert (found["address"].verdict, found["address"].found) == (Verdict.PROBLEM, said)
    assert {finding.verdict for name, finding in found.items() if name != "address"} == {Verdict.SKIPPED}


async def test_a_target_of_grpcs_own_is_left_to_it() -> None:
    async with FakeMesh() as mesh:
        found = await seen(around(f"dns:///127.0.0.1:{mesh.port}"))
    assert (found["connection"].verdict, found["mesh"].verdict) == (Verdict.OK, Verdict.OK)


@asynccontextmanager
async def port(serve: Serve) -> AsyncIterator[str]:
    """Something else than a mesh, and where it is."""
    async with serving(serve) as number:
        yield f"http://127.0.0.1:{number}"


async def speaks_smtp(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (speaks_smtp, "what answers speaks no HTTP/2, and is no mesh"),
        (hangs_up, "it accepts connections and ends them at once"),
    ],
)
async def test_a_port_that_is_no_grpc_server(serve: Serve, said: str) -> None:
    async with port(serve) as url:
        found = await seen(around(url))
    assert found["connection"].verdict is Verdict.OK
    assert found["grpc"].verdict is Verdict.PROBLEM
    assert found["grpc"].found.startswith(said)
    assert found["mesh"] == Finding(Verdict.SKIPPED, "not looked at, because of grpc", check="mesh")


async def test_a_port_that_says_nothing() -> None:
    async with port(says_nothing) as url:
        found = await seen(around(url, patience=SOON))
    assert found["grpc"].found.startswith("it accepts connections and then says nothing")


async def test_a_web_server() -> None:
    async with HttpServer() as server:
        server.reply("*", json_reply({}, 400))
        found = await seen(around(server.url))
    assert found["grpc"].found == "a web server that speaks no HTTP/2 answers, and no mesh"
    assert "--api-url" in found["grpc"].fix


async def test_a_grpc_server_that_is_no_mesh() -> None:
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    found = await seen(around(f"http://127.0.0.1:{await server.start()}"))
    await server.stop()
    assert found["grpc"].verdict is Verdict.OK
    assert found["mesh"].found == "what answers speaks gRPC, and is no mesh"


async def test_a_mesh_that_is_too_old_to_be_asked() -> None:
    async def get_routing(request: object, context: object) -> registry_pb2.GetRoutingResponse:
        return registry_pb2.GetRoutingResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        get_routing, registry_pb2.GetRoutingRequest.FromString, registry_pb2.GetRoutingResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("devteam.v1.RegistryService", {"GetRouting": handler})]
    )
    port_ = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    found = await seen(around(f"http://127.0.0.1:{port_}"))
    await server.stop(None)
    assert found["mesh"].found == "it is a mesh that is too old to say how it stands"


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedMesh]:
    async with scripted_mesh() as mesh:
        yield mesh


async def test_a_mesh_that_refuses_the_key(scripted: ScriptedMesh) -> None:
    """Which is not shown."""
    scripted.registry.refusals["GetRegistryStatus"].append(Unauthenticated("who are you?"))
    here = Surroundings(scripted.url, "canary-key", {}, PATIENT)
    found = await seen(here)
    assert found["mesh"].found == "the mesh refuses the key"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "verdict", "said"),
    [
        ({}, "ok", "no variable sends calls through a proxy"),
        ({"http_proxy": "http://me:canary@p:3128"}, "warning", "http_proxy sends calls through http://p:3128"),
        ({"grpc_proxy": "http://p:1", "http_proxy": "http://q:1"}, "warning", "grpc_proxy sends calls through"),
        ({"https_proxy": "http://p:1", "no_proxy": "127.0.0.1,.corp"}, "ok", "https_proxy is set, and leaves out"),
        ({"https_proxy": "http://p:1", "no_grpc_proxy": ".corp", "no_proxy": "127.0.0.1"}, "warning", "https_proxy"),
        ({"HTTP_PROXY": "http://p:1"}, "ok", "no variable"),
    ],
)
async def test_variables_that_send_calls_another_way(environ: dict[str, str], verdict: str, said: str) -> None:
    [found] = await way.proxy(around("http://127.0.0.1:7400", environ=environ))
    assert found.verdict.value == verdict
    assert found.found.startswith(said)
    assert "canary" not in repr(found)
