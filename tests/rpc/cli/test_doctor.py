"""What `devteam doctor` finds on the way to a mesh, and in it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from devteam_cli.doctor import idle as idle_checks
from devteam_cli.doctor import way
from devteam_cli.doctor.command import _examined
from devteam_cli.doctor.examination import Check, Surroundings, examine

from devteam import Dependency, DependencyState, ServiceStatus
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import Unauthenticated
from devteam.mesh.finding import Finding, Verdict, skipped
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tls import TlsFiles
from devteam.testing import FakeMesh
from devteam.v1 import registry_pb2
from tests.fakes.certificates import Certificates, certificate, tls_server
from tests.fakes.http_server import HttpServer, json_reply
from tests.fakes.ids import CountingIds
from tests.fakes.mesh_server import ScriptedMesh, scripted_mesh
from tests.fakes.port import Serve, serving
from tests.fakes.relay import Relay
from tests.rpc.cli.command import ran

# Upper bounds: what does not answer at all is waited for as long.
SOON, PATIENT = 0.3, 30.0
ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
DAY = timedelta(days=1)
# No provider of the developer's machine shall be asked.
NOBODY = {"DEVTEAM_PROVIDER": "sim"}


def around(
    url: str, *, patience: float = PATIENT, environ: Mapping[str, str] | None = None, idle: float = 0.0
) -> Surroundings:
    return Surroundings(url, "", environ or {}, patience, idle)


async def tls(here: Surroundings) -> Finding:
    return (await way.secure(here))[0]


async def seen(here: Surroundings, checks: tuple[Check, ...] = way.CHECKS) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(checks, here)}


def verdicts(found: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.verdict.value for name, finding in found.items()}


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
    ("since", "until", "said", "fix"),
    [
        (-DAY, 2 * 365 * DAY, "self-signed certificate", "name a file with it"),
        (-3 * DAY, -DAY, "certificate has expired", "have a new one issued"),
        (DAY, 3 * DAY, "certificate is not yet valid", "clocks"),
    ],
)
async def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, since: timedelta, until: timedelta, said: str, fix: str
) -> None:
    files = certificate(tmp_path, since=since, until=until)
    environ = {} if "self" in said else {ROOTS: str(files[0])}
    async with tls_server(*files) as url:
        found = await seen(around(url, environ=environ))
    assert found["tls"].verdict is Verdict.PROBLEM
    assert found["tls"].found.startswith("the certificate of localhost is not trusted: ")
    assert said in found["tls"].found.replace("self signed", "self-signed")
    assert fix in found["tls"].fix
    assert found["mesh"].found == "not looked at, because of tls"


@pytest.mark.parametrize(("days", "verdict"), [(365, Verdict.OK), (5, Verdict.WARNING)])
async def test_a_certificate_that_is_trusted(tmp_path: Path, days: int, verdict: Verdict) -> None:
    """One that ends soon is worth a word."""
    files = certificate(tmp_path, since=-DAY, until=days * DAY)
    async with tls_server(*files) as url:
        found = await tls(around(url, environ={ROOTS: str(files[0])}))
        elsewhere = await tls(around(url.replace("localhost", "127.0.0.1"), environ={ROOTS: str(files[0])}))
    assert found.verdict is verdict
    assert "certificate of localhost is trusted" in found.found
    assert elsewhere.verdict is Verdict.PROBLEM
    assert "use the name that it was issued for" in elsewhere.fix


async def test_roots_that_are_none(tmp_path: Path) -> None:
    found = await tls(around("https://localhost:1", environ={ROOTS: "/nope"}))
    assert found.found == f"{ROOTS} names /nope: No such file or directory"
    (tmp_path / "empty.pem").write_text("")
    found = await tls(around("https://localhost:1", environ={ROOTS: str(tmp_path / "empty.pem")}))
    assert found.found.endswith("no certificate in it")


async def test_tls_where_there_is_none_and_none_where_there_is(tmp_path: Path) -> None:
    """Each says what to write instead."""
    async with FakeMesh() as mesh:
        found = await seen(around(mesh.url.replace("http:", "https:")))
    assert "does not speak TLS" in found["tls"].found
    async with tls_server(*certificate(tmp_path, since=-DAY, until=DAY)) as url:
        found = await seen(around(url.replace("https:", "http:")))
    assert found["grpc"].verdict is Verdict.PROBLEM


@asynccontextmanager
async def tls_mesh(files: TlsFiles, *, client_certs: bool = False) -> AsyncIterator[str]:
    """A server with TLS, as every service of a mesh has it."""
    server = MeshServer(Listen(port=0, stop_grace=0.1, tls=files, client_certs=client_certs), CountingIds())
    try:
        yield f"https://127.0.0.1:{await server.start()}"
    finally:
        await server.stop()


async def test_a_mesh_with_its_own_authority(tmp_path: Path) -> None:
    """Who signed its certificate, who trusts that, and how long it holds."""
    certificates = Certificates(tmp_path / "certs")
    ca = str(certificates.ca.ca)
    async with tls_mesh(certificates.files()) as url:
        found = await seen(around(url, environ={"DEVTEAM_CA_FILE": ca}))
        stranger = await seen(around(url))
    assert found["tls"].verdict is Verdict.OK
    assert ", for 29 d; signed by DevTeam private authority, trusted by " + ca in found["tls"].found
    assert found["tls"].found.endswith("; TLSv1.3")
    assert found["grpc"].verdict is Verdict.OK
    assert "let DEVTEAM_CA_FILE name a file with the authority that signed it" in stranger["tls"].fix


async def test_a_mesh_that_asks_for_certificates(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certs")
    own = certificates.issue("client")
    named = {"DEVTEAM_CA_FILE": str(own.ca)}
    both = named | {"DEVTEAM_CERT_FILE": str(own.cert), "DEVTEAM_KEY_FILE": str(own.key)}
    async with tls_mesh(certificates.files(), client_certs=True) as url:
        without, with_one = await seen(around(url, environ=named)), await seen(around(url, environ=both))
    assert (without["tls"].verdict, without["grpc"].verdict) == (Verdict.OK, Verdict.PROBLEM)
    assert "DEVTEAM_CERT_FILE" in without["grpc"].fix
    assert (with_one["tls"].verdict, with_one["grpc"].verdict) == (Verdict.OK, Verdict.OK)


async def test_a_mesh_with_tls_that_is_spoken_to_in_plain_text(tmp_path: Path) -> None:
    async with tls_mesh(Certificates(tmp_path / "certs").files()) as url:
        found = await seen(around(url.replace("https:", "http:")))
    assert (found["grpc"].found, found["grpc"].fix) == ("it speaks TLS", "say https:// instead of http://")


async def test_certificate_files_that_cannot_be_used() -> None:
    found = await tls(around("https://localhost:1", environ={"DEVTEAM_CA_FILE": "/nope"}))
    assert found.found == "the authority file /nope cannot be read: no such file or directory"


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


@asynccontextmanager
async def behind_a_relay(relay_idle: float | None = None) -> AsyncIterator[tuple[Relay, str]]:
    """A server with health, as every service of a mesh has it, and a relay before it."""
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    relay = Relay("127.0.0.1", await server.start())
    relay.idle = relay_idle
    try:
        yield relay, f"http://127.0.0.1:{await relay.open()}"
    finally:
        await relay.cut()
        await server.stop()


async def test_a_stream_that_is_left_alone() -> None:
    async with behind_a_relay() as (_, url):
        [found] = await idle_checks.idle(around(url, idle=0.3))
    assert (found.verdict, found.found) == (Verdict.OK, "a stream was left alone for 0.3 s")


async def test_something_in_between_that_cuts_idle_streams() -> None:
    """So soon that no worker could stay."""
    async with behind_a_relay(2.0) as (_, url):
        [found] = await idle_checks.idle(around(url, idle=60.0))
    assert found.verdict is Verdict.PROBLEM
    assert found.found.startswith("a stream on which nothing was said was cut after ")
    assert "stream_idle_timeout" in found.fix


async def test_something_in_between_that_swallows_what_is_said() -> None:
    """The stream stays, and nothing comes through any more."""
    async with behind_a_relay() as (relay, url), open_channel(url) as channel:
        async with idle_checks._opened(channel, PATIENT) as stream:
            relay.swallow()
            found = await idle_checks._left_alone(channel, stream, around(url, idle=0.1, patience=SOON))
        relay.heal()
    assert found.verdict is Verdict.PROBLEM


async def test_a_late_cut_costs_a_pause_only() -> None:
    assert idle_checks._cut(300.0).verdict is Verdict.WARNING
    assert "cut after 5 min" in idle_checks._cut(300.0).found


async def test_no_stream_to_try_it_on() -> None:
    assert (await idle_checks.idle(around("http://127.0.0.1:1")))[0].found.startswith("say --idle 120")
    assert await idle_checks.idle(around("http://127.0.0.1:1", idle=0.1)) == [
        skipped("no stream could be opened to try it on")
    ]
    async with FakeMesh() as mesh:  # it has no health
        assert await idle_checks.idle(around(mesh.url, idle=0.1)) == [
            skipped("what lies in between lets no health checks through, which it is tried on")
        ]


async def test_a_mesh_whose_temporal_is_away_and_whose_clock_is_wrong() -> None:
    away = Dependency(
        name="temporal", address="t:7233", state=DependencyState.AWAY, detail="it does not answer: see whether it runs"
    )
    planner = ServiceStatus(name="planner", dependencies=(away,), clock_ahead=timedelta(hours=3))
    async with FakeMesh(services=[planner]) as mesh:
        found = {finding.check: finding for finding in await _examined(around(mesh.url, environ=NOBODY))}
    assert found["planner: temporal"] == Finding(
        Verdict.PROBLEM, "t:7233 is away", "it does not answer: see whether it runs", "planner: temporal"
    )
    assert found["planner: clock"].found == "its clock is 3.0 h ahead of this machine's"
    assert found["keepalive"].found.startswith("connections are pinged every 10 s, and given up after 5 s")
    assert found["here: anthropic key"].verdict is Verdict.SKIPPED


async def test_a_worker_here_would_lack_what_it_was_told_to_use() -> None:
    """Which is no problem of the mesh."""
    async with FakeMesh() as mesh:
        found = {
            finding.check: finding
            for finding in await _examined(around(mesh.url, environ={"DEVTEAM_PROVIDER": "anthropic"}))
        }
    assert found["here: anthropic key"].verdict is Verdict.WARNING
    assert "set ANTHROPIC_API_KEY" in found["here: anthropic key"].fix
    wrong = {"DEVTEAM_CONCURRENCY": "many"}
    async with FakeMesh() as mesh:
        found = {finding.check: finding for finding in await _examined(around(mesh.url, environ=wrong))}
    assert "DEVTEAM_CONCURRENCY" in found["here"].found


async def test_the_command_shows_findings_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    async with FakeMesh() as mesh:
        done = await ran(mesh, "doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["VERDICT", "CHECK", "FOUND"]
    assert done.out.splitlines()[1].split()[:2] == ["ok", "address"]
    done = await ran(None, "doctor")
    assert done.code == 1
    [fix] = [line for line in done.out.splitlines() if line.startswith("connection ")]
    assert "start the mesh there" in fix


async def test_the_command_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """An array, or a line for each."""
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    async with FakeMesh() as mesh:
        whole = await ran(mesh, "doctor", "-o", "json")
        each = await ran(mesh, "-o", "jsonl", "doctor")
    found = json.loads(whole.out)
    assert found[0].keys() == {"verdict", "found", "fix", "check"}
    assert [json.loads(line)["check"] for line in each.out.splitlines()] == [one["check"] for one in found]
