"""Every call of a mesh, made with every kind of key there is."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from devteam.mesh.access.caller import Role
from devteam.mesh.access.key import mint
from devteam.mesh.access.rules import RULES, Rule
from tests.fakes.clock import FakeClock
from tests.fakes.guarded_mesh import MESH_KEY, METHODS, GuardedMesh, guarded_mesh

OK = ("OK", "")
MISSING = ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
NOT_ALLOWED = ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
Outcome = tuple[str, str]
SOON = timedelta(seconds=1)
_UNANSWERED = "/grpc.health.v1.Health/List"


async def outcomes(mesh: GuardedMesh, key: str) -> Mapping[str, Outcome]:
    """Each call comes from an address of its own: none is made to wait for what the others tried."""
    found = await asyncio.gather(*(mesh.outcome(method, key, mesh.elsewhere()) for method in METHODS))
    return dict(zip(METHODS, found, strict=True))


def expected(of: Callable[[Rule], Outcome]) -> Mapping[str, Outcome]:
    """What the gate makes of each method; of what it lets through, the library does not answer one."""
    found = {method: of(RULES[method]) for method in METHODS}
    if found[_UNANSWERED] == OK:
        found[_UNANSWERED] = ("UNIMPLEMENTED", "UNIMPLEMENTED")
    return found


def allowed(role: Role) -> Mapping[str, Outcome]:
    return expected(lambda rule: OK if role in rule.roles else NOT_ALLOWED)


async def test_without_a_key_only_what_is_open_can_be_called(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        assert await outcomes(mesh, "") == expected(lambda rule: OK if rule.open else MISSING)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
async def test_a_key_may_do_what_its_role_may_and_nothing_else(clock: FakeClock, role: Role) -> None:
    async with guarded_mesh(clock) as mesh:
        assert await outcomes(mesh, mesh.key(role)) == allowed(role)
        assert {caller.role for caller in mesh.callers} == {role}


async def test_the_mesh_key_is_a_service(clock: FakeClock) -> None:
    async with guarded_mesh(clock) as mesh:
        assert await outcomes(mesh, MESH_KEY) == allowed(Role.SERVICE)


@pytest.mark.parametrize(
    "key",
    ["no-key", mint("a").secret, mint("m").secret, mint("a").secret[:-1] + "1", "dta_", "Basic", "x" * 4_000],
    ids=["malformed", "unknown", "another mesh's", "mistyped", "short", "a word", "long"],
)
async def test_what_is_no_key_of_this_mesh_opens_nothing_not_even_what_is_open(clock: FakeClock, key: str) -> None:
    async with guarded_mesh(clock) as mesh:
        assert await outcomes(mesh, key) == expected(lambda _: INVALID)
        assert mesh.callers == []


async def test_an_expired_key_opens_nothing(clock: FakeClock) -> None:
    """It did a moment before."""
    async with guarded_mesh(clock) as mesh:
        key = mesh.key(Role.ADMIN, expires_at=clock.now() + SOON)
        assert await outcomes(mesh, key) == allowed(Role.ADMIN)
        clock.advance(SOON.total_seconds())
        assert await outcomes(mesh, key) == expected(lambda _: INVALID)


async def test_a_revoked_key_opens_nothing(clock: FakeClock) -> None:
    """It did a moment before."""
    async with guarded_mesh(clock) as mesh:
        key = mesh.key(Role.ADMIN)
        assert await outcomes(mesh, key) == allowed(Role.ADMIN)
        mesh.revoke(key)
        assert await outcomes(mesh, key) == expected(lambda _: INVALID)


async def test_without_a_row_nobody_gets_in(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devteam.mesh.access.authorizer.RULES", {})
    async with guarded_mesh(clock) as mesh:
        for key in ("", MESH_KEY, mesh.key(Role.ADMIN)):
            assert await outcomes(mesh, key) == expected(lambda _: ("PERMISSION_DENIED", "NO_RULE"))
        assert mesh.callers == []


async def test_a_mesh_without_keys_lets_anyone_do_everything(clock: FakeClock) -> None:
    async with guarded_mesh(clock, keys=False) as mesh:
        assert await outcomes(mesh, "") == expected(lambda _: OK)
        assert await outcomes(mesh, "no-key") == expected(lambda _: OK)
