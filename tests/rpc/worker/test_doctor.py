"""What doctor finds: a mesh and providers on the wire, some of them out of order."""

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from devteam_worker.doctor import machine as machine_checks
from devteam_worker.doctor import mesh as mesh_checks
from devteam_worker.doctor import providers as provider_checks
from devteam_worker.doctor import tools as tool_checks
from devteam_worker.doctor.examination import Check, Surroundings, examine
from devteam_worker.settings import load_settings

from devteam.mesh.errors import PermissionDenied, Unauthenticated
from devteam.mesh.finding import Finding, Verdict, ok, skipped
from devteam.mesh.version import version
from devteam.v1 import access_pb2
from tests.fakes.http_server import Act, HttpServer, Reply, json_reply
from tests.fakes.mesh_server import ScriptedMesh
from tests.fakes.ollama_server import OllamaServer
from tests.fakes.port import serving
from tests.rpc.worker.machine import Machine

KEY = "canary-provider-key"
WRONG_KEY = {"type": "authentication_error", "message": f"bad key {KEY}"}
# Upper bounds: what does not answer at all is waited for as long.
SOON = 0.3
PATIENT = 30.0


def around(
    folder: Path, flags: Mapping[str, Any], patience: float = PATIENT, environ: Mapping[str, str] | None = None
) -> Surroundings:
    return Surroundings(load_settings(None, flags, {}), environ or {}, folder, patience)


async def seen(here: Surroundings, checks: tuple[Check, ...] = mesh_checks.CHECKS) -> dict[str, Finding]:
    return await examine(checks, here)


def verdicts(found: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.verdict.value for name, finding in found.items()}


async def test_a_mesh_that_answers(mesh: ScriptedMesh, tmp_path: Path) -> None:
    mesh.registry.status.now.GetCurrentTime()
    mesh.registry.status.version = version()
    found = await seen(around(tmp_path, {"api_url": mesh.url, "api_key": "dt-key"}))
    assert verdicts(found) == {
        "address": "ok",
        "connection": "ok",
        "tls": "skipped",
        "mesh": "ok",
        "clock": "ok",
        "version": "ok",
    }
    assert mesh.registry.keys["GetIdentity"] == "Bearer dt-key"
    assert "dt-key" not in repr(found)


async def test_a_mesh_of_another_version(mesh: ScriptedMesh, tmp_path: Path) -> None:
    """One that is too old to say is no finding."""
    assert (await seen(around(tmp_path, {"api_url": mesh.url})))["version"].verdict is Verdict.SKIPPED
    mesh.registry.status.version = "9.9.9"
    found = (await seen(around(tmp_path, {"api_url": mesh.url})))["version"]
    assert (found.verdict, found.found) == (Verdict.WARNING, f"this is {version()}, and the mesh 9.9.9")
    assert found.fix.startswith("pip install devteam-orchestrator==9.9.9")


@pytest.mark.parametrize(("ahead", "said"), [(3600.0, "3600.0 s behind"), (-3600.0, "3600.0 s ahead of")])
async def test_a_clock_that_is_wrong(mesh: ScriptedMesh, tmp_path: Path, ahead: float, said: str) -> None:
    mesh.registry.status.now.FromNanoseconds(int((time.time() + ahead) * 1e9))
    found = (await seen(around(tmp_path, {"api_url": mesh.url})))["clock"]
    assert found.verdict is Verdict.WARNING
    assert found.found.split()[1:] == f"{said} the mesh".split()[1:]
    assert abs(float(found.found.split()[0]) - 3600) < 10
    mesh.registry.status.ClearField("now")
    assert (await seen(around(tmp_path, {"api_url": mesh.url})))["clock"].verdict is Verdict.SKIPPED


async def test_a_mesh_that_refuses_the_key(mesh: ScriptedMesh, tmp_path: Path) -> None:
    mesh.registry.refusals["GetIdentity"].append(Unauthenticated("who are you?"))
    found = await seen(around(tmp_path, {"api_url": mesh.url}))
    assert found["mesh"].found == "the mesh refuses the key"
    assert found["clock"] == skipped("not looked at, because of mesh")


@pytest.mark.parametrize(
    ("role", "verdict", "said"),
    [
        (access_pb2.ROLE_WORKER, Verdict.OK, "the mesh answers, and takes the key"),
        (access_pb2.ROLE_CLIENT, Verdict.PROBLEM, "the mesh knows the key, and it is no worker's"),
    ],
)
async def test_whose_key_it_is(
    mesh: ScriptedMesh, tmp_path: Path, role: access_pb2.Role.ValueType, verdict: Verdict, said: str
) -> None:
    """Asked by a call that every role may make: a worker may not ask for much."""
    mesh.registry.identity = access_pb2.GetIdentityResponse(role=role, keys_on=True)
    mesh.registry.refusals["GetRegistryStatus"] += [PermissionDenied("not for workers")] * 2
    found = await seen(around(tmp_path, {"api_url": mesh.url, "api_key": "dt-key"}))
    assert (found["mesh"].verdict, found["mesh"].found) == (verdict, said)
    assert (found["clock"].verdict, found["version"].verdict) == (Verdict.SKIPPED, Verdict.SKIPPED)


async def test_nobody_there(tmp_path: Path) -> None:
    async with HttpServer() as server:
        url = server.url
    found = await seen(around(tmp_path, {"api_url": url}))
    place = url.removeprefix("http://")
    assert found["connection"].found == f"{place} cannot be reached (Connection refused)"
    assert verdicts(found) | {"address": "ok", "mesh": "skipped", "clock": "skipped"} == verdicts(found)


async def test_something_else_than_a_mesh(tmp_path: Path) -> None:
    async with HttpServer() as server:
        found = await seen(around(tmp_path, {"api_url": server.url}, patience=SOON))
        assert (found["connection"].verdict, found["mesh"].verdict) == (Verdict.OK, Verdict.PROBLEM)
        secure = server.url.replace("http:", "https:")
        found = await seen(around(tmp_path, {"api_url": secure}, patience=SOON))
        assert "does not speak TLS" in found["tls"].found


async def test_a_name_that_means_nothing(tmp_path: Path) -> None:
    found = await seen(around(tmp_path, {"api_url": "http://nobody.invalid:1"}))
    assert found["address"].found == "the name nobody.invalid does not resolve"
    found = await seen(around(tmp_path, {"api_url": "http://a..b:80"}))
    assert found["address"].found == "the name a..b does not resolve"
    assert [found[name].verdict for name in ("connection", "mesh")] == [Verdict.SKIPPED] * 2


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_certificate_counts_if_its_authority_is_named(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost")
    files = ("-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=DNS:localhost")
    try:
        await asyncio.to_thread(subprocess.run, [*made, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with serving(hang_up, context) as port:
        url = f"https://localhost:{port}"
        strange = await mesh_checks.tls(around(tmp_path, {"api_url": url}))
        environ = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}
        known = await mesh_checks.tls(around(tmp_path, {"api_url": url}, environ=environ))
        nowhere = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/nope"}
        unnamed = await mesh_checks.tls(around(tmp_path, {"api_url": url}, environ=nowhere))
    assert strange.found.startswith("the certificate of localhost is not trusted: self")
    assert known.verdict is Verdict.OK
    assert "localhost is trusted until" in known.found
    assert unnamed.found == "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names /nope: No such file or directory"


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (json_reply({"data": [], "has_more": False}), Verdict.OK, "answers, and takes the key"),
        (json_reply({"type": "error", "error": WRONG_KEY}, 401), Verdict.PROBLEM, "refuses the key"),
        (json_reply({}, 529), Verdict.WARNING, "answers with an error (529)"),
        (Reply((Act.CUT,)), Verdict.PROBLEM, "cannot be reached"),
    ],
)
async def test_what_claudes_api_says_to_the_key(tmp_path: Path, reply: Reply, verdict: Verdict, said: str) -> None:
    async with HttpServer() as server:
        server.reply("/v1/models?limit=1", reply)
        flags = {"anthropic": {"baseUrl": server.url}}
        found = await seen(around(tmp_path, flags, environ={"ANTHROPIC_API_KEY": KEY}), provider_checks.CHECKS[:2])
    assert found["anthropic key"] == ok("ANTHROPIC_API_KEY is set")
    assert found["anthropic"].verdict is verdict
    assert said in found["anthropic"].found
    assert KEY not in repr(found)


async def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    found = await seen(around(tmp_path, {}), provider_checks.CHECKS[:2])
    assert verdicts(found) == {"anthropic key": "skipped", "anthropic": "skipped"}
    found = await seen(around(tmp_path, {"provider": "anthropic"}), provider_checks.CHECKS[:2])
    assert verdicts(found) == {"anthropic key": "problem", "anthropic": "skipped"}


@pytest.mark.parametrize(
    ("reply", "verdict", "said"),
    [
        (json_reply({"object": "list", "data": []}), Verdict.OK, "answers, and takes the key"),
        (json_reply({"error": {"message": f"bad key {KEY}"}}, 401), Verdict.PROBLEM, "refuses the key"),
        (json_reply({}, 503), Verdict.WARNING, "answers with an error (503)"),
        (Reply((Act.CUT,)), Verdict.PROBLEM, "cannot be reached"),
    ],
)
async def test_what_an_openai_server_says_to_the_key(tmp_path: Path, reply: Reply, verdict: Verdict, said: str) -> None:
    async with HttpServer() as server:
        server.reply("/v1/models", reply)
        flags = {"openai": {"baseUrl": f"{server.url.replace('//', f'//me:{KEY}@')}/v1"}}
        found = await seen(around(tmp_path, flags, environ={"OPENAI_API_KEY": KEY}), provider_checks.CHECKS[2:4])
    assert found["openai key"] == ok("OPENAI_API_KEY is set")
    assert found["openai"].verdict is verdict
    assert said in found["openai"].found
    assert KEY not in repr(found)


@pytest.mark.parametrize(("provider", "verdict"), [("auto", "skipped"), ("openai", "problem"), ("sim", "skipped")])
async def test_without_key_and_server_no_openai_model_is_there(tmp_path: Path, provider: str, verdict: str) -> None:
    found = await seen(around(tmp_path, {"provider": provider}), provider_checks.CHECKS[2:4])
    assert verdicts(found) == {"openai key": verdict, "openai": "skipped"}


async def test_which_models_ollama_has(tmp_path: Path) -> None:
    async with OllamaServer() as server:
        server.install({"llama3.2": 10, "qwen3": 20})
        here = around(tmp_path, {"ollama": {"host": server.url}})
        found = await provider_checks.ollama(here)
    assert (found.verdict, found.found) == (Verdict.OK, f"Ollama on {server.url} has llama3.2, qwen3")
    found = await provider_checks.ollama(here)
    assert (found.verdict, found.found) == (Verdict.PROBLEM, f"no Ollama answers on {server.url}")
    async with OllamaServer() as server:
        server.install({})
        found = await provider_checks.ollama(around(tmp_path, {"ollama": {"host": server.url}}))
    assert found.verdict is Verdict.WARNING


async def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, of all things")
    found = await machine_checks.data_folder(around(tmp_path / "data" / "more", {}))
    assert found.verdict is Verdict.PROBLEM
    assert (await machine_checks.data_folder(around(tmp_path / "new", {}))).verdict is Verdict.OK
    assert list((tmp_path / "new").iterdir()) == []
    assert (await machine_checks.disk(around(tmp_path / "not" / "yet", {}))).found.endswith("not/yet")


async def test_what_tasks_are_given_is_looked_at(tmp_path: Path) -> None:
    found = await seen(around(tmp_path, {}), tool_checks.CHECKS)
    assert verdicts(found) == {"documents": "skipped", "mcp servers": "skipped"}
    flags = {
        "data_sources": [{"name": "docs", "path": str(tmp_path)}, "more"],
        "mcp_servers": {
            "near": {"command": "sh", "args": ["${TOKEN}"]},
            "far": {"url": "http://h/mcp", "headers": {"Authorization": "${TOKEN}"}},
        },
    }
    found = await seen(around(tmp_path, flags, environ={"TOKEN": KEY}), tool_checks.CHECKS)
    assert verdicts(found) == {"documents": "ok", "mcp servers": "ok"}
    assert KEY not in repr(found)


async def test_documents_and_servers_that_are_missing_are_named(tmp_path: Path) -> None:
    flags = {
        "data_sources": [{"name": "docs", "path": str(tmp_path / "nope")}],
        "mcp_servers": {
            "near": {"command": "no-such-program"},
            "here": {"command": "./server", "cwd": str(tmp_path)},
            "far": {"url": "http://h/mcp", "headers": {"Authorization": "${TOKEN}"}},
        },
    }
    found = await seen(around(tmp_path, flags), tool_checks.CHECKS)
    assert verdicts(found) == {"documents": "problem", "mcp servers": "problem"}
    assert found["documents"].found == f"docs: {tmp_path / 'nope'} is no folder that this user can see"
    assert found["mcp servers"].found == (
        "near: there is no program 'no-such-program'; here: there is no program './server'; "
        "far: needs ${TOKEN}, which the worker's environment does not set"
    )


async def test_a_check_that_stumbles_is_a_finding(tmp_path: Path) -> None:
    async def stumble(_: Surroundings) -> Finding:
        raise ValueError(KEY)

    # Longer than any name may be: it cannot even be asked whether it is there.
    too_long = around(tmp_path / ("x" * 300), {})
    found = await examine((Check("odd", stumble), *machine_checks.CHECKS), too_long)
    assert found["odd"].found == "it could not be looked at (ValueError)"
    assert (found["disk"].verdict, found["disk"].found.partition(": ")[2]) == (Verdict.PROBLEM, "File name too long")
    assert found["memory"].verdict in {Verdict.OK, Verdict.WARNING}


async def test_a_wrong_variable_is_not_the_files_fault(machine: Machine) -> None:
    code, out, _ = await machine.command("doctor", "-o", "json", DEVTEAM_CONCURRENCY="many")
    found = {each["check"]: each for each in json.loads(out)}
    assert (code, "worker file" in found) == (1, False)
    assert found["environment"]["found"].startswith("DEVTEAM_CONCURRENCY: must be a valid integer")
    assert found["environment"]["fix"] == "set DEVTEAM_CONCURRENCY to something else, or unset it"


async def test_the_command_says_it_all_and_fails_when_something_is_broken(machine: Machine) -> None:
    nobody = {"OLLAMA_HOST": "127.0.0.1:1", "ANTHROPIC_API_KEY": "", "DEVTEAM_PROVIDER": "sim"}
    code, out, err = await machine.command("doctor", **nobody)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[:3] == ["ok", "worker", "file"]
    await machine.mesh.stop()
    code, out, _ = await machine.command("doctor", "-o", "json", **nobody)
    found = {each["check"]: each for each in json.loads(out)}
    assert (code, found["connection"]["verdict"]) == (1, "problem")
    assert found["connection"]["fix"].startswith("start the mesh there")
    (machine.folder / "worker.yaml").write_text("worker: {concurency: 4}\n")
    code, out, _ = await machine.command("doctor", **nobody)
    assert code == 1
    assert "did you mean concurrency?" in out
    assert "worker file: mend it" in out
