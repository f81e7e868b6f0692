"""The files themselves: the same everywhere but for what differs by place, and taken by Envoy as they are.

What compose and Kubernetes have the image write is in test_deployed_files.py.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from devteam_cli.gateway import admin
from devteam_cli.gateway.envoy import binary
from devteam_cli.gateway.folder import shared, write
from devteam_cli.gateway.place import Address, Place

from devteam.mesh.tls import TlsFiles
from scripts import gateway as deployed
from tests.e2e.programs import REPOSITORY
from tests.fakes.gateway import gateway, place_of, skip_without_envoy
from tests.fakes.signed import signed
from tests.rpc.cli.command import ran

_CERTS = Path("certs")
PLACES = {
    "laptop": place_of(7400),
    "elsewhere": Place(
        listen=Address("0.0.0.0", 8443),
        registry=Address("registry", 7401),
        router=Address("router-headless", 7402),
        planner=Address("planner-headless", 7403),
        collector=Address("otel-collector", 4317),
        certificate=TlsFiles(_CERTS / "tls.crt", _CERTS / "tls.key"),
        upstream=TlsFiles(ca=_CERTS / "ca.crt"),
    ),
}


def test_what_is_deployed_is_what_the_wheel_has() -> None:
    assert deployed.main("check") == 0
    deploy = REPOSITORY / "deploy" / "envoy"
    assert all((deploy / name).read_bytes() == content for name, content in shared())


def test_front_and_traced_differ_in_their_traces_only() -> None:
    files = dict(shared())
    front, traced = files["front.yaml"].splitlines(), files["traced.yaml"].splitlines()
    assert [line for line in traced if line not in front]
    assert [line for line in front if line not in traced] == []


@pytest.mark.parametrize("place", sorted(PLACES))
async def test_envoy_takes_the_files_of_every_place(place: str, folder: Path) -> None:
    """Both as it validates them, which leaves out what lies beside, and as it runs on them."""
    skip_without_envoy()
    files = write(PLACES[place], folder)
    certs = folder / "certs"
    certs.mkdir()
    signed(certs, "localhost")
    assert "shared/envoy.yaml' OK" in await asyncio.to_thread(_validated, folder)
    # Services of these names are nowhere here: what is tested is that all is read and nothing refused.
    moved = place_of(1, **_kept(PLACES[place]))
    async with gateway(moved, folder):
        counted = await admin.stats(files.admin, "(update_rejected|update_failure|config_reload)$")
        refused = {name: count for name, count in counted.items() if not name.endswith("reload") and count}
        assert refused == {}
        said = await admin.asked(files.admin, "/config_dump")
    assert b"error_state" not in said


async def test_the_command_writes_them(tmp_path: Path) -> None:
    services = ("--registry", "r:7401", "--router", "router-headless:7402", "--planner", "[::1]:7403")
    place = ("--page", "ui:7480", "--cert", "certs/a.pem", "--key", "certs/k.pem", "--upstream-ca", "certs/ca.pem")
    done = await ran(
        None, "gateway", "config", str(tmp_path), *services, *place, "--allow-origin", "https://app.example"
    )
    assert (done.code, f"cd {tmp_path} && envoy" in done.err) == (0, True)
    names = sorted(path.name for path in (tmp_path / "config").iterdir())
    assert names == [
        *("certificate.yaml", "clusters.yaml", "guard.yaml", "listeners.yaml", "rate.yaml", "upstream_ca.yaml"),
    ]
    assert "port_value: 8443" in (tmp_path / "config" / "listeners.yaml").read_text()
    assert "address: ::1" in (tmp_path / "config" / "clusters.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--registry", "nowhere"), "--registry: 'nowhere' is not of the form host:port"),
        (("--registry", "::1:80"), "--registry"),
        (("--router", "r:99999"), "--router: 99999 is no port"),
        (("--listen", "0.0.0.0:8080"), "--insecure-i-know"),
        (("--cert", "a.pem"), "go together"),
        (("--upstream-cert", "a.pem", "--upstream-key", "k.pem"), "--upstream-ca"),
        (("--allow-origin", "app.example"), "https://host"),
        (("--allow-origin", "https://app.example/path"), "https://host"),
    ],
)
async def test_the_command_refuses_in_words(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    given = {"--registry": "r:1", "--router": "r:2", "--planner": "r:3"}
    told = [part for name, value in given.items() if name not in options for part in (name, value)]
    done = await ran(None, "gateway", "config", str(tmp_path / "door"), *told, *options)
    assert (done.code, words in done.err) == (2, True), done.err
    assert not (tmp_path / "door").exists()


async def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(Exception, match=r"devteam-orchestrator\[gateway\]"):
        binary()


def _validated(folder: Path) -> str:
    """What Envoy says of the files when it only looks."""
    command = [str(binary()), "--mode", "validate", "--config-path", "shared/envoy.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def _kept(place: Place) -> dict[str, object]:
    """What a place has, but for addresses."""
    return {
        "collector": place.collector and Address("127.0.0.1", 1),
        "certificate": place.certificate,
        "upstream": place.upstream,
        "names": place.names,
    }
