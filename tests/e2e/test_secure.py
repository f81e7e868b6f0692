"""`devteam up --secure`: TLS and keys in one command, and commands on its machine that need be told nothing."""

import json
import re
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from devteam_cli import local_mesh
from devteam_cli.local_mesh import LocalMesh
from devteam_cli.ports import free_port

from devteam.mesh.access.key import PATTERN
from tests.e2e.programs import BIN, PATIENCE, Mesh, Program, devteam, ended, environment, up
from tests.fakes.gateway import skip_without_envoy

pytestmark = pytest.mark.e2e

Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Secured:
    """One that runs, what it left for commands, and what it said when it was ready."""

    mesh: Mesh
    left: LocalMesh
    said: list[str] = field(default_factory=list)

    def here(self, *command: str, **env: str) -> Ended:
        """A command on its own machine, told nothing but the folder, and `env`."""
        return devteam(*command, env=environment(DEVTEAM_DATA=str(self.mesh.data), **env))

    def token(self, queue: str) -> str:
        made = self.here("join-token", "create", "--queue", queue)
        assert f"--ca-fingerprint {self.left.fingerprint}" in made.stderr
        return made.stdout.strip()


def ready(mesh: Mesh) -> Secured:
    said = []
    while not (line := mesh.program.line("")).string.startswith("Try: "):
        said.append(line.string)
    left = local_mesh.read(mesh.data)
    assert left is not None
    return Secured(mesh, left, said)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with up(tmp_path_factory.mktemp("mesh"), "--secure", "--host", "0.0.0.0", "--name", "mesh.test") as mesh:
        running = ready(mesh)
        yield running
        mesh.stop()
        assert local_mesh.read(mesh.data) is None


def joined(secured: Secured, folder: Path, *trust: str, token: str) -> Ended:
    given = ("join", token, "--server", secured.left.url, "--data", str(folder), *trust)
    return ended("devteam-worker", *given, env=environment())


def test_it_says_what_a_newcomer_needs_next(secured: Secured) -> None:
    """The name that was given is the address for others; and no key is shown."""
    assert secured.left.elsewhere == secured.left.url.replace("127.0.0.1", "mesh.test")
    said = "\n".join(secured.said)
    assert "devteam join-token create --queue default" in said
    assert f"--server {secured.left.elsewhere} --ca-fingerprint {secured.left.fingerprint}" in said
    assert f"DEVTEAM_DATA={secured.mesh.data}" in said
    assert not PATTERN.search(said + (secured.mesh.logs / "up.log").read_text())


@pytest.mark.parametrize(
    "command",
    [
        ("whoami",),
        ("status",),
        ("workers",),
        ("queues",),
        ("keys", "list"),
        ("task", "run", "--model", "sim", "Say hello"),
        ("top", "--once"),
        ("events", "--since", "1h"),
    ],
    ids=" ".join,
)
def test_commands_of_its_machine_need_be_told_nothing(command: tuple[str, ...], secured: Secured) -> None:
    done = secured.here(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_task_is_traced_and_the_doctor_content(secured: Secured) -> None:
    ran = secured.here("task", "run", "--model", "sim", "hello", "-o", "json")
    task = json.loads(ran.stdout)["id"]
    give_up_at = time.monotonic() + PATIENCE
    # Spans are written down a moment after they end.
    while "PlannerService/CreateTask" not in (traced := secured.here("trace", task)).stdout:
        assert time.monotonic() < give_up_at, traced
        time.sleep(0.2)
    found = secured.here("doctor", DEVTEAM_PROVIDER="sim").stdout
    assert "signed by DevTeam private authority, trusted by" in found
    assert "problem" not in found


def test_the_page_shows_it_and_stays_on_this_machine(secured: Secured) -> None:
    data = environment(DEVTEAM_DATA=str(secured.mesh.data))
    with Program(str(BIN / "devteam"), "ui", "--port", "0", log=secured.mesh.logs / "ui.log", env=data) as page:
        url = page.line(r"^Page: (http://127\.0\.0\.1:\d+)")[1]
        assert httpx.get(url, trust_env=False, timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize(
    ("command", "env", "sentence"),
    [
        (("workers",), {"DEVTEAM_API_KEY": ""}, "this mesh asks for an API key: set DEVTEAM_API_KEY"),
        (("--api-key", "dtc_wrong", "workers"), {}, "the API key is not valid"),
        (("workers",), {"DEVTEAM_CA_FILE": "{wrong}"}, "not signed by anyone who is trusted here; let DEVTEAM_CA_FILE"),
        (("--api-url", "{plain}", "workers"), {}, "if it speaks TLS say https://"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    command: tuple[str, ...], env: dict[str, str], sentence: str, secured: Secured, tmp_path: Path
) -> None:
    assert devteam("certs", "init", str(tmp_path / "certs"), env=environment()).returncode == 0
    known = {"wrong": tmp_path / "certs" / "ca.pem", "plain": secured.left.url.replace("https", "http")}
    told = {name: value.format(**known) for name, value in env.items()}
    done = secured.here(*(part.format(**known) for part in command), **told)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert sentence in done.stderr


def test_a_key_does_what_its_role_may(secured: Secured) -> None:
    made = secured.here("keys", "create", "ann", "--role", "client", "--tenant", "acme")
    ann = {"DEVTEAM_API_KEY": made.stdout.strip()}
    assert secured.here("task", "run", "--model", "sim", "Say hello", **ann).returncode == 0
    refused = secured.here("keys", "list", **ann)
    assert (refused.returncode != 0, refused.stdout) == (True, "")
    assert "admin" in refused.stderr


def test_a_worker_joins_by_a_token_and_the_authoritys_fingerprint(secured: Secured, tmp_path: Path) -> None:
    """Nothing has to be copied. From then on its folder is all that it needs."""
    done = joined(
        secured, tmp_path, "--ca-fingerprint", secured.left.fingerprint, "--id", "far", token=secured.token("far")
    )
    assert done.returncode == 0, done.stderr
    [kept] = (tmp_path / "authorities").iterdir()
    assert kept.read_bytes() == Path(secured.left.ca).read_bytes()
    start = (str(BIN / "devteam-worker"), "start", "--provider", "sim", "--data", str(tmp_path))
    with Program(*start, log=tmp_path / "log", env=environment()) as worker:
        worker.line("^Ready$")
        run = secured.here("task", "run", "--model", "sim", "--queue", "far", "Say hello", "-o", "json")
        assert json.loads(run.stdout)["worker_id"] == "far"
        key = next(key for key in keys(secured) if key["worker_id"] == "far")
        assert secured.here("keys", "revoke", key["id"]).returncode == 0
        assert worker.wait() == 78


def test_a_worker_joins_by_the_authoritys_file(secured: Secured, tmp_path: Path) -> None:
    done = joined(secured, tmp_path, "--ca", secured.left.ca, "--id", "near", token=secured.token("near"))
    assert done.returncode == 0, done.stderr


def test_no_token_is_sent_before_the_fingerprint_matched(secured: Secured, tmp_path: Path) -> None:
    """The token is good afterwards, and nothing was kept."""
    token = secured.token("spared")
    wrong = joined(secured, tmp_path, "--ca-fingerprint", "00" * 32, token=token)
    assert (wrong.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "shows no authority with this fingerprint, so that nothing was said to it" in wrong.stderr
    right = joined(secured, tmp_path, "--ca-fingerprint", secured.left.fingerprint, "--id", "spared", token=token)
    assert right.returncode == 0, right.stderr


def keys(secured: Secured) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(secured.here("keys", "list", "-o", "json").stdout)
    return found


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    """Names, authority, keys: and a worker that joined before goes on without another word."""
    port = str(free_port())
    with up(tmp_path, "--secure", "--port", port, "--name", "mesh.test") as mesh:
        before = ready(mesh)
        made, far = keys(before), tmp_path / "far"
        trust = ("--ca-fingerprint", before.left.fingerprint, "--id", "far")
        token = before.token("far")
        assert joined(before, far, *trust, token=token).returncode == 0
        mesh.stop()
    with up(tmp_path, "--secure", "--port", port) as mesh:
        after = ready(mesh)
        assert after.left.fingerprint == before.left.fingerprint
        assert [key["id"] for key in keys(after)][: len(made)] == [key["id"] for key in made]
        assert len(keys(after)) == len(made) + 1
        assert "mesh.test" in certificate_of(after)
        start = (str(BIN / "devteam-worker"), "start", "--provider", "sim", "--data", str(far))
        with Program(*start, log=tmp_path / "log", env=environment()) as worker:
            worker.line("^Ready$")
        for file in (mesh.data / "keys").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        mesh.stop()


def certificate_of(secured: Secured) -> str:
    folder = str(Path(secured.left.ca).parent)
    return devteam("certs", "show", folder, env=environment()).stdout


def test_the_gateway_speaks_tls_with_the_same_certificate(tmp_path: Path) -> None:
    """Callers are asked for a key through it, too, and told apart by what it says of them."""
    skip_without_envoy()
    with up(tmp_path, "--secure", "--host", "0.0.0.0", "--gateway", "--gateway-port", "0") as mesh:
        door = mesh.program.line(r"^Gateway: (https://\S+) ")[1]
        secured = ready(mesh)
        key = Path(secured.left.key_file).read_text().strip()
        context = ssl.create_default_context(cafile=secured.left.ca)
        shown = {"authorization": f"Bearer {key}"}
        with httpx.Client(verify=context, trust_env=False, headers=shown, timeout=PATIENCE) as http:
            assert http.get(f"{door}/api/queues", headers={"authorization": ""}).status_code == 401
            answer = http.get(f"{door}/api/queues")
            assert (answer.status_code, answer.json()["queues"][0]["name"]) == (200, "default")
            # Its other address, where this machine has one.
            host = httpx.URL(secured.left.elsewhere or door).host
            http.post(f"{httpx.URL(door).copy_with(host=host)}/api/tasks/t-none:cancel", json={})
        audited = [json.loads(line) for line in (mesh.data / "audit.log").read_text().splitlines()]
        assert [line["peer"] for line in audited if line["method"].endswith("/CancelTask")] == [host]
        through = devteam(
            "task",
            "run",
            "--model",
            "sim",
            "hello",
            env=environment(DEVTEAM_API_URL=door, DEVTEAM_CA_FILE=secured.left.ca, DEVTEAM_API_KEY=key),
        )
        assert through.returncode == 0, through.stderr
        mesh.stop()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--host", "0.0.0.0"), "say --secure, or say --insecure-i-know"),
        (("--name", "mesh.example"), "is for the certificate that --secure makes without --certs"),
        (("--secure", "--name", "https://mesh.example"), "must be a name or an address, without a scheme"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = devteam("up", "--data", str(tmp_path / "data"), *options, env=environment(COLUMNS="200"))
    assert done.returncode == 2
    assert sentence in re.sub(r"\s+", " ", done.stderr)
    assert not (tmp_path / "data").exists()
