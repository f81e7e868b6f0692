"""Callers that show a certificate instead of a key, over real TLS."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from devteam.mesh.access.caller import Caller, Role
from tests.fakes.authority import Authority
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import GuardedMesh, guarded_mesh

WATCH_KEYS = "/devteam.v1.AccessService/WatchKeys"
BEAT = "/devteam.v1.RegistryService/Heartbeat"
WHO = "/devteam.v1.AccessService/GetIdentity"
OK, MISSING = ("OK", ""), ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
# The files are those of a server that reads them itself; here the test opens the port.
ASKED: dict[str, Any] = {
    "tls_client_certs": True,
    "tls_cert_file": "cert.pem",
    "tls_key_file": "key.pem",
    "tls_ca_file": "ca.pem",
}
IDENTITIES = [
    {"uri": "spiffe://mesh/router", "role": "service"},
    {"uri": "spiffe://mesh/workers/*", "role": "worker", "tenant": "acme", "queues": ["q"], "worker_id_from_uri": True},
]


@asynccontextmanager
async def shown(
    clock: FakeClock, *uris: str, dns: Sequence[str] = (), signer: Authority | None = None
) -> AsyncIterator[GuardedMesh]:
    """A mesh, and a channel to it that shows a certificate."""
    ours = Authority()
    credentials = grpc.ssl_channel_credentials(ours.root(), *(signer or ours).issue(*uris, dns=dns))
    async with (
        guarded_mesh(clock, tls=ours.server(), identities=IDENTITIES, **ASKED) as mesh,
        grpc.aio.secure_channel(f"127.0.0.1:{mesh.tls_port}", credentials) as channel,
    ):
        plain, mesh.channel = mesh.channel, channel
        yield mesh
        mesh.channel = plain


async def test_a_certificate_that_is_listed_is_as_good_as_a_key(clock: FakeClock) -> None:
    async with shown(clock, "spiffe://mesh/router") as mesh:
        assert await mesh.outcome(WATCH_KEYS) == OK
        assert mesh.callers == [Caller(Role.SERVICE, name="spiffe://mesh/router")]
        assert await mesh.outcome(BEAT) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


async def test_a_worker_is_who_its_certificate_says(clock: FakeClock) -> None:
    async with shown(clock, "spiffe://mesh/workers/gpu-1") as mesh:
        assert await mesh.outcome(BEAT) == OK
        assert mesh.callers == [
            Caller(Role.WORKER, name="spiffe://mesh/workers/gpu-1", tenant="acme", queues=("q",), worker_id="gpu-1")
        ]


@pytest.mark.parametrize(
    ("uris", "dns"),
    [
        ([], []),
        (["spiffe://mesh/registry"], []),
        (["spiffe://mesh/router", "spiffe://mesh/workers/gpu-1"], []),
        (["spiffe://mesh/workers/a/b"], []),
        ([], ["spiffe://mesh/router"]),
    ],
    ids=["no URI", "not listed", "two URIs", "further below", "a URI as a name"],
)
async def test_any_other_certificate_names_nobody(clock: FakeClock, uris: list[str], dns: list[str]) -> None:
    """With a key it is let in all the same."""
    async with shown(clock, *uris, dns=dns) as mesh:
        assert await mesh.outcome(WHO) == MISSING
        assert await mesh.outcome(WHO, mesh.key(Role.CLIENT)) == OK


async def test_a_key_counts_more_than_a_certificate(clock: FakeClock) -> None:
    """Also one that is not valid."""
    async with shown(clock, "spiffe://mesh/router") as mesh:
        assert await mesh.outcome(WHO, mesh.key(Role.CLIENT)) == OK
        assert [caller.role for caller in mesh.callers] == [Role.CLIENT]
        assert await mesh.outcome(WHO, "no-key") == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")


async def test_whoever_else_signed_it_does_not_even_connect(clock: FakeClock) -> None:
    async with shown(clock, "spiffe://mesh/router", signer=Authority()) as mesh:
        assert (await mesh.outcome(WHO))[0] == "UNAVAILABLE"


async def test_in_plain_text_there_is_no_certificate(clock: FakeClock) -> None:
    async with guarded_mesh(clock, identities=IDENTITIES, **ASKED) as mesh:
        assert await mesh.outcome(WHO) == MISSING
