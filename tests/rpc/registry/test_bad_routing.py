"""Everything that is wrong with a wish about routing, said at once."""

import math

import pytest
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import registry_pb2 as pb
from devteam.v1 import run_pb2
from tests.rpc.registry.mesh import Mesh, mask, violations

UNKNOWN_STRATEGY = 99


@pytest.mark.parametrize("paths", [(), ("strategy", "queues"), ("routing.strategy",), ("",)])
async def test_a_mask_names_known_fields_of_the_routing(mesh: Mesh, paths: tuple[str, ...]) -> None:
    """Policies of queues are changed one by one, and not here."""
    request = pb.UpdateRoutingRequest(update_mask=mask(*paths))
    assert await violations(mesh.stub.UpdateRouting(request)) == {("update_mask", "FIELD_MASK_INVALID")}


@pytest.mark.parametrize("paths", [(), ("paused", "name"), ("policy.paused",)])
async def test_a_mask_names_known_fields_of_a_policy(mesh: Mesh, paths: tuple[str, ...]) -> None:
    request = pb.UpdateQueueRequest(policy=pb.QueuePolicy(name="gpu"), update_mask=mask(*paths))
    assert await violations(mesh.stub.UpdateQueue(request)) == {("update_mask", "FIELD_MASK_INVALID")}


async def test_every_violation_of_a_routing_is_reported_with_its_path(mesh: Mesh) -> None:
    routing = pb.Routing(
        strategy=UNKNOWN_STRATEGY,  # type: ignore[arg-type]  # a number that a newer client may send
        locality_wait=Duration(seconds=3601),
        preferences=[
            pb.ModelPreference(model="opus", queues=["gpu"]),
            pb.ModelPreference(model="", queues=[]),
            pb.ModelPreference(model="m" * 256, queues=["a b", "gpu"]),
            pb.ModelPreference(model="x\x00", queues=["gpu"] * 17),
        ],
        limits=[
            pb.ModelLimit(model="opus", starts_per_minute=1_000_000),
            pb.ModelLimit(model="", queue="a b", starts_per_minute=0),
            pb.ModelLimit(model="*", starts_per_minute=1_000_001),
            pb.ModelLimit(model="*", starts_per_minute=-1),
            pb.ModelLimit(model="*", starts_per_minute=math.nan),
            pb.ModelLimit(model="*", starts_per_minute=math.inf),
        ],
    )
    paths = mask("strategy", "locality_wait", "preferences", "limits")
    request = pb.UpdateRoutingRequest(routing=routing, update_mask=paths)
    assert await violations(mesh.stub.UpdateRouting(request)) == {
        ("routing.strategy", "UNKNOWN_ENUM"),
        ("routing.locality_wait", "OUT_OF_BOUNDS"),
        ("routing.preferences[1].model", "FIELD_REQUIRED"),
        ("routing.preferences[1].queues", "FIELD_REQUIRED"),
        ("routing.preferences[2].model", "TEXT_TOO_LARGE"),
        ("routing.preferences[2].queues[0]", "ID_FORMAT"),
        ("routing.preferences[3].model", "TEXT_FORBIDDEN_CHAR"),
        ("routing.preferences[3].queues", "TOO_MANY"),
        ("routing.limits[1].model", "FIELD_REQUIRED"),
        ("routing.limits[1].queue", "ID_FORMAT"),
        *((f"routing.limits[{index}].starts_per_minute", "OUT_OF_BOUNDS") for index in range(1, 6)),
    }
    assert (await mesh.stub.GetRouting(pb.GetRoutingRequest())).routing == pb.Routing()


async def test_only_what_the_mask_names_is_looked_at(mesh: Mesh) -> None:
    routing = pb.Routing(locality_wait=Duration(seconds=-1), limits=[pb.ModelLimit()])
    request = pb.UpdateRoutingRequest(routing=routing, update_mask=mask("strategy"))
    assert (await mesh.stub.UpdateRouting(request)).routing == pb.Routing()


@pytest.mark.parametrize("seconds", [-1, 3601, 2**62])
async def test_a_wait_is_bounded(mesh: Mesh, seconds: int) -> None:
    """0 s to 1 h, for a queue as for all of them."""
    policy = pb.QueuePolicy(name="gpu", locality_wait=Duration(seconds=seconds))
    request = pb.UpdateQueueRequest(policy=policy, update_mask=mask("locality_wait"))
    assert await violations(mesh.stub.UpdateQueue(request)) == {("policy.locality_wait", "OUT_OF_BOUNDS")}


async def test_lists_of_a_routing_are_bounded(mesh: Mesh) -> None:
    preference = pb.ModelPreference(model="opus", queues=["gpu"])
    limit = pb.ModelLimit(model="opus", starts_per_minute=1)
    routing = pb.Routing(preferences=[preference] * 1_001, limits=[limit] * 1_001)
    request = pb.UpdateRoutingRequest(routing=routing, update_mask=mask("preferences", "limits"))
    assert await violations(mesh.stub.UpdateRouting(request)) == {
        ("routing.preferences", "TOO_MANY"),
        ("routing.limits", "TOO_MANY"),
    }


@pytest.mark.parametrize("name", ["", "a b", "q" * 129])
async def test_a_policy_names_its_queue(mesh: Mesh, name: str) -> None:
    request = pb.UpdateQueueRequest(policy=pb.QueuePolicy(name=name, paused=True), update_mask=mask("paused"))
    assert {field for field, _ in await violations(mesh.stub.UpdateQueue(request))} == {"policy.name"}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"team-a": 0.009}, {"OUT_OF_BOUNDS"}),
        ({"team-a": 1_000.1}, {"OUT_OF_BOUNDS"}),
        ({"team-a": math.nan}, {"OUT_OF_BOUNDS"}),
        ({"": 1.0, "team-a": 1_000}, {"ID_FORMAT"}),
        ({"t" * 65: 1.0}, {"ID_FORMAT"}),
        ({"a b": 0.0}, {"ID_FORMAT", "OUT_OF_BOUNDS"}),
        ({f"t{number}": 1.0 for number in range(1_001)}, {"TOO_MANY"}),
    ],
)
async def test_weights_of_tenants_are_checked(mesh: Mesh, weights: dict[str, float], expected: set[str]) -> None:
    """Names that a tenant may have, and bounds."""
    policy = pb.QueuePolicy(name="gpu", tenant_weights=weights)
    request = pb.UpdateQueueRequest(policy=policy, update_mask=mask("tenant_weights"))
    found = await violations(mesh.stub.UpdateQueue(request))
    assert found == {("policy.tenant_weights", reason) for reason in expected}


async def test_a_policy_of_an_unknown_strategy_is_refused(mesh: Mesh) -> None:
    policy = pb.QueuePolicy(name="gpu", strategy=run_pb2.STRATEGY_LOCALITY + UNKNOWN_STRATEGY)  # type: ignore[arg-type]
    request = pb.UpdateQueueRequest(policy=policy, update_mask=mask("strategy"))
    assert await violations(mesh.stub.UpdateQueue(request)) == {("policy.strategy", "UNKNOWN_ENUM")}
