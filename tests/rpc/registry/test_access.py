"""The keys on the wire: what is made, seen, refused and told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.access.key import PATTERN
from devteam.mesh.paging import page_token
from devteam.v1 import access_pb2 as pb
from devteam.v1.access_pb2_grpc import AccessServiceStub
from tests.fakes.clock import FakeClock
from tests.rpc.registry.keyed import MESH_KEY, KeyedMesh, keyed_registry
from tests.rpc.registry.mesh import Mesh, refusal, violations

DAY = 24 * 3600


@pytest.fixture
async def keyed(clock: FakeClock) -> AsyncIterator[KeyedMesh]:
    async with keyed_registry(clock) as mesh:
        yield mesh


def after(clock: FakeClock, seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromSeconds(int(clock.now().timestamp() + seconds))
    return moment


async def reason_of(call: Awaitable[Any]) -> tuple[str, str]:
    code, error = await refusal(call)
    return code.name, error.reason


async def test_a_key_is_shown_once_and_lets_its_owner_in(keyed: KeyedMesh, clock: FakeClock) -> None:
    """What is listed of it afterwards opens nothing."""
    made = await keyed.create(queues=["gpu", "gpu"], rate=2.5, expires_at=after(clock, DAY))
    assert PATTERN.fullmatch(made.secret)
    assert made.key.spec.queues == ["gpu"]
    who = await (await keyed.as_(made.secret)).GetIdentity(pb.GetIdentityRequest())
    assert who == pb.GetIdentityResponse(
        key_id=made.key.key_id,
        name="ci",
        role=pb.ROLE_CLIENT,
        tenant="team-a",
        queues=["gpu"],
        expires_at=made.key.spec.expires_at,
        keys_on=True,
    )
    listed = await (await keyed.as_(MESH_KEY)).ListKeys(pb.ListKeysRequest())
    assert listed == pb.ListKeysResponse(keys=[made.key])
    assert made.secret not in str(listed)


async def test_a_revoked_key_is_refused_by_the_next_call(keyed: KeyedMesh) -> None:
    made = await keyed.create()
    client, admin = await keyed.as_(made.secret), await keyed.as_(MESH_KEY)
    await client.GetIdentity(pb.GetIdentityRequest())
    revoked = await admin.RevokeKey(pb.RevokeKeyRequest(key_id=made.key.key_id))
    assert revoked.key.HasField("revoked_at")
    call = client.GetIdentity(pb.GetIdentityRequest())
    assert await reason_of(call) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert (await admin.ListKeys(pb.ListKeysRequest())).keys == []
    ended = await admin.ListKeys(pb.ListKeysRequest(include_ended=True))
    assert list(ended.keys) == [revoked.key]


async def test_everything_wrong_with_a_key_is_said_at_once(keyed: KeyedMesh, clock: FakeClock) -> None:
    admin = await keyed.as_(MESH_KEY)
    spec = pb.KeySpec(
        name="",
        role=pb.ROLE_CLIENT,
        tenant="",
        queues=["a b", "ok", *["q"] * 99],
        worker_id="w1",
        expires_at=after(clock, 0),
        rate=10_001,
    )
    assert await violations(admin.CreateKey(pb.CreateKeyRequest(spec=spec))) == {
        ("spec.name", "FIELD_REQUIRED"),
        ("spec.tenant", "FIELD_REQUIRED"),
        ("spec.queues", "TOO_MANY"),
        ("spec.queues[0]", "ID_FORMAT"),
        ("spec.worker_id", "WORKER_ID_WITHOUT_ROLE"),
        ("spec.expires_at", "OUT_OF_BOUNDS"),
        ("spec.rate", "OUT_OF_BOUNDS"),
    }


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"name": "n" * 129}, "name", "TEXT_TOO_LARGE"),
        ({"name": "a\x00b"}, "name", "TEXT_FORBIDDEN_CHAR"),
        ({"role": pb.ROLE_UNSPECIFIED}, "role", "FIELD_REQUIRED"),
        ({"role": pb.ROLE_SERVICE}, "role", "ROLE_NOT_ALLOWED"),
        ({"role": 99}, "role", "UNKNOWN_ENUM"),
        ({"tenant": "t" * 65}, "tenant", "ID_FORMAT"),
        ({"tenant": "a/b"}, "tenant", "ID_FORMAT"),
        ({"role": pb.ROLE_WORKER, "worker_id": "a b"}, "worker_id", "ID_FORMAT"),
        ({"expires_at": Timestamp(seconds=2**62)}, "expires_at", "OUT_OF_BOUNDS"),
        ({"rate": float("nan")}, "rate", "OUT_OF_BOUNDS"),
        ({"rate": -1.0}, "rate", "OUT_OF_BOUNDS"),
    ],
)
async def test_a_wrong_field_of_a_key_is_named(
    keyed: KeyedMesh, wrong: dict[str, Any], field: str, reason: str
) -> None:
    assert await violations(keyed.create(**wrong)) == {(f"spec.{field}", reason)}


async def test_an_admin_of_a_tenant_stays_within_it(keyed: KeyedMesh) -> None:
    admin = (await keyed.create(role=pb.ROLE_ADMIN)).secret
    theirs = await keyed.create(tenant="team-b")
    assert (await keyed.create(admin, tenant="")).key.spec.tenant == "team-a"
    assert await reason_of(keyed.create(admin, tenant="team-b")) == ("PERMISSION_DENIED", "TENANT_NOT_ALLOWED")
    stub = await keyed.as_(admin)
    assert {key.spec.tenant for key in (await stub.ListKeys(pb.ListKeysRequest())).keys} == {"team-a"}
    hidden = stub.RevokeKey(pb.RevokeKeyRequest(key_id=theirs.key.key_id))
    assert (await reason_of(hidden))[0] == "NOT_FOUND"


async def test_keys_come_in_pages(keyed: KeyedMesh) -> None:
    for number in range(5):
        keyed.clock.advance(1)
        await keyed.create(name=f"k{number}")
    admin, token, names = await keyed.as_(MESH_KEY), "", []
    for _ in range(3):
        page = await admin.ListKeys(pb.ListKeysRequest(page_size=2, page_token=token))
        names += [key.spec.name for key in page.keys]
        token = page.next_page_token
    assert (names, token) == (["k0", "k1", "k2", "k3", "k4"], "")
    assert await violations(admin.ListKeys(pb.ListKeysRequest(page_token="forged"))) == {
        ("page_token", "PAGE_TOKEN_INVALID")
    }
    assert await violations(admin.ListKeys(pb.ListKeysRequest(page_size=1_001))) == {("page_size", "OUT_OF_BOUNDS")}


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
async def test_a_page_token_that_is_no_name_reaches_no_database(
    clock: FakeClock, database: str, request: pytest.FixtureRequest
) -> None:
    """PostgreSQL takes no NUL in a text."""
    async with keyed_registry(clock, database_url=request.getfixturevalue(database)) as mesh:
        forged = (await mesh.as_(MESH_KEY)).ListKeys(pb.ListKeysRequest(page_token=page_token("\x00x")))
        assert await violations(forged) == {("page_token", "PAGE_TOKEN_INVALID")}


async def test_a_worker_joins_without_a_key_and_has_one_then(keyed: KeyedMesh, clock: FakeClock) -> None:
    operator = await keyed.as_((await keyed.create(role=pb.ROLE_OPERATOR)).secret)
    made = await operator.CreateJoinToken(pb.CreateJoinTokenRequest(queues=["gpu-queue"]))
    assert made.expires_at == after(clock, 600)
    joined = await (await keyed.as_()).JoinWorker(pb.JoinWorkerRequest(token=made.token, worker_id="gpu-box"))
    who = await (await keyed.as_(joined.secret)).GetIdentity(pb.GetIdentityRequest())
    assert (who.role, who.worker_id, who.tenant) == (pb.ROLE_WORKER, "gpu-box", "team-a")
    assert list(who.queues) == ["gpu-queue"]


async def test_one_of_many_joins_the_others_are_told_nothing(keyed: KeyedMesh, sqlite_url: str) -> None:
    """At the same time, over the wire, with a database."""
    async with keyed_registry(keyed.clock, database_url=sqlite_url) as mesh:
        made = await (await mesh.as_(MESH_KEY)).CreateJoinToken(pb.CreateJoinTokenRequest())
        strangers = [await mesh.as_() for _ in range(6)]
        joins = [
            stranger.JoinWorker(pb.JoinWorkerRequest(token=made.token, worker_id=f"w{number}"))
            for number, stranger in enumerate(strangers)
        ]
        codes = await asyncio.gather(*(join.code() for join in joins))
        assert sorted(code.name for code in codes) == ["OK", *["UNAUTHENTICATED"] * 5]
        late = strangers[0].JoinWorker(pb.JoinWorkerRequest(token=made.token, worker_id="late"))
        assert await reason_of(late) == ("UNAUTHENTICATED", "JOIN_TOKEN_INVALID")


async def test_everything_wrong_with_a_token_is_said_at_once(keyed: KeyedMesh, clock: FakeClock) -> None:
    admin = await keyed.as_(MESH_KEY)
    wish = pb.CreateJoinTokenRequest(tenant="a b", queues=["", "q"], worker_id="a b", expires_at=after(clock, DAY + 1))
    assert await violations(admin.CreateJoinToken(wish)) == {
        ("tenant", "ID_FORMAT"),
        ("queues[0]", "FIELD_REQUIRED"),
        ("worker_id", "ID_FORMAT"),
        ("expires_at", "OUT_OF_BOUNDS"),
    }
    stranger = await keyed.as_()
    assert await violations(stranger.JoinWorker(pb.JoinWorkerRequest(worker_id="a b"))) == {
        ("token", "FIELD_REQUIRED"),
        ("worker_id", "ID_FORMAT"),
    }
    assert await violations(admin.RevokeKey(pb.RevokeKeyRequest())) == {("key_id", "FIELD_REQUIRED")}


async def test_services_are_told_what_they_judge_by_and_nothing_more(keyed: KeyedMesh) -> None:
    known = await keyed.create()
    watch = (await keyed.as_(MESH_KEY)).WatchKeys(pb.WatchKeysRequest())
    snapshot = await watch.read()
    assert isinstance(snapshot, pb.WatchKeysResponse)
    [record] = snapshot.snapshot.records
    assert (record.key.key_id, record.key.spec, len(record.digest)) == (known.key.key_id, known.key.spec, 32)
    await (await keyed.as_(MESH_KEY)).RevokeKey(pb.RevokeKeyRequest(key_id=known.key.key_id))
    changed = await watch.read()
    assert isinstance(changed, pb.WatchKeysResponse)
    assert (changed.changed.key.key_id, changed.changed.key.HasField("revoked_at")) == (known.key.key_id, True)
    assert known.secret not in f"{snapshot}{changed}"
    watch.cancel()


async def test_clients_are_told_of_no_keys(keyed: KeyedMesh) -> None:
    made = await keyed.create(role=pb.ROLE_ADMIN)
    watch = (await keyed.as_(made.secret)).WatchKeys(pb.WatchKeysRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_mesh_without_keys_says_so(mesh: Mesh) -> None:
    """Everyone may do everything there, and be told so."""
    stub = AccessServiceStub(mesh.channel)
    who = await stub.GetIdentity(pb.GetIdentityRequest())
    assert (who.role, who.keys_on) == (pb.ROLE_ADMIN, False)
    spec = pb.KeySpec(name="ci", role=pb.ROLE_CLIENT, tenant="team-a")
    calls = (
        stub.CreateKey(pb.CreateKeyRequest(spec=spec)),
        stub.ListKeys(pb.ListKeysRequest()),
        stub.RevokeKey(pb.RevokeKeyRequest(key_id="3sFvq9Zk")),
        stub.CreateJoinToken(pb.CreateJoinTokenRequest()),
        stub.JoinWorker(pb.JoinWorkerRequest(token="dtj", worker_id="w1")),
        stub.WatchKeys(pb.WatchKeysRequest()).read(),
    )
    assert {await reason_of(call) for call in calls} == {("FAILED_PRECONDITION", "KEYS_OFF")}
