"""What holds a secret does not show it when it is printed, as it is in a traceback or by a debugger."""

from datetime import UTC, datetime, timedelta

import pytest
from devteam_cli.certs.authority import Authority

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import KeyRecord
from devteam.mesh.pem import Pems

MINTED = mint("c")
AUTHORITY = Authority.new("test", datetime.now(UTC), timedelta(days=1)).kept


@pytest.mark.parametrize(
    ("thing", "secret"),
    [
        (MINTED, MINTED.secret),
        (MINTED, repr(MINTED.digest)),
        (KeyRecord(Caller(Role.CLIENT), MINTED.digest), repr(MINTED.digest)),
        (AUTHORITY, repr(AUTHORITY.key)),
        (Pems(key=AUTHORITY.key), repr(AUTHORITY.key)),
    ],
    ids=["a new key", "its digest", "what is known of it", "an authority", "what stands in files"],
)
def test_it_is_not_shown(thing: object, secret: str) -> None:
    assert secret not in repr(thing)
