"""Which certificate stands for whom."""

import pytest

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.certificates import Identity, identified
from devteam.mesh.errors import InvalidInput
from devteam.mesh.settings import ServiceSettings

ROUTER = Identity("spiffe://mesh/router", Role.SERVICE)
ANY = Identity("spiffe://mesh/*", Role.OPERATOR, tenant="acme")


def connection(*uris: str, kind: str = "ssl") -> dict[str, list[bytes]]:
    return {"peer_uri": [uri.encode() for uri in uris], "transport_security_type": [kind.encode()]}


def test_the_first_identity_that_fits_counts() -> None:
    assert identified([ROUTER, ANY], connection("spiffe://mesh/router")) == Caller(
        Role.SERVICE, name="spiffe://mesh/router"
    )
    assert identified([ANY, ROUTER], connection("spiffe://mesh/router")) == Caller(
        Role.OPERATOR, name="spiffe://mesh/router", tenant="acme"
    )


@pytest.mark.parametrize(
    "uri", ["spiffe://mesh", "spiffe://mesh/", "spiffe://other/router", "spiffe://mesh.evil/router", "spiffe://mes"]
)
def test_what_does_not_lie_below_does_not_fit(uri: str) -> None:
    assert identified([ANY], connection(uri)) is None


@pytest.mark.parametrize("uri", ["spiffe://mesh/router/more", "spiffe://mesh/routers", "SPIFFE://mesh/router"])
def test_without_a_star_only_the_very_uri_fits(uri: str) -> None:
    assert identified([ROUTER], connection(uri)) is None


def test_only_what_tls_has_verified_counts() -> None:
    assert identified([ROUTER], connection("spiffe://mesh/router", kind="insecure")) is None
    assert identified([ROUTER], {"peer_uri": [b"spiffe://mesh/router"]}) is None


@pytest.mark.parametrize(
    ("identity", "where"),
    [
        ({"uri": "mesh/router", "role": "service"}, "[0]"),
        ({"uri": "spiffe://mesh/*/router", "role": "service"}, "[0]"),
        ({"uri": "spiffe://mesh/router", "role": "root"}, "[0][role]"),
        ({"uri": "spiffe://mesh/router"}, "[0][role]"),
        ({"uri": "spiffe://mesh/router", "role": "client", "tennant": "acme"}, "[0][tennant]"),
        ({"uri": "spiffe://mesh/router", "role": "worker", "worker_id_from_uri": True}, "[0]"),
    ],
)
def test_a_wrong_identity_is_refused_where_it_is_wrong(identity: dict[str, object], where: str) -> None:
    """Above all a misspelt tenant, which would be every tenant's."""
    with pytest.raises(InvalidInput) as caught:
        ServiceSettings(identities=[identity])
    assert [violation.field for violation in caught.value.violations] == [f"IDENTITIES{where}"]
