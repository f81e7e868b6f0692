"""What the audit log tells of what was asked, and of nothing else."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.access.key import mint
from devteam.mesh.access.particulars import particulars
from devteam.v1 import access_pb2, planner_pb2, registry_pb2, run_pb2

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


def noon() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(NOON)
    return moment


def a_key(role: "access_pb2.Role.ValueType", **more: Any) -> dict[str, object]:
    """What is told of a key that is made."""
    spec = access_pb2.KeySpec(name="canary", role=role, **more)
    made = access_pb2.Key(key_id="3sFvq9Zk", spec=spec, created_by="canary", created_at=noon())
    return particulars(access_pb2.CreateKeyRequest(spec=spec), access_pb2.CreateKeyResponse(key=made, secret="canary"))


def test_a_key_is_told_with_all_that_it_is_good_for() -> None:
    client = a_key(access_pb2.ROLE_CLIENT, tenant="acme", queues=["gpu", "cpu"], expires_at=noon(), rate=2.5)
    assert client == {
        "key_id": "3sFvq9Zk",
        "role": "client",
        "tenant": "acme",
        "queues": ["gpu", "cpu"],
        "expires_at": "2026-11-26T12:00:00Z",
        "rate": 2.5,
    }
    assert a_key(access_pb2.ROLE_ADMIN) == {"key_id": "3sFvq9Zk", "role": "admin"}


def test_a_token_is_told_with_its_end_and_who_joins_with_what_the_key_is_good_for() -> None:
    made = access_pb2.CreateJoinTokenResponse(token="canary", expires_at=noon())
    assert particulars(access_pb2.CreateJoinTokenRequest(tenant="acme"), made) == {
        "tenant": "acme",
        "expires_at": "2026-11-26T12:00:00Z",
    }
    spec = access_pb2.KeySpec(name="canary", role=access_pb2.ROLE_WORKER, worker_id="w1")
    joined = access_pb2.JoinWorkerResponse(key=access_pb2.Key(key_id="3sFvq9Zk", spec=spec), secret="canary")
    assert particulars(access_pb2.JoinWorkerRequest(token="canary"), joined) == {
        "key_id": "3sFvq9Zk",
        "role": "worker",
        "worker_id": "w1",
    }


@pytest.mark.parametrize(
    ("availability", "word"),
    [(registry_pb2.AVAILABILITY_OPEN, "open"), (registry_pb2.AVAILABILITY_DRAINING, "draining"), (77, 77)],
)
def test_a_drain_is_another_line_than_its_end(availability: Any, word: object) -> None:
    request = registry_pb2.UpdateWorkerRequest(
        worker_id="w1",
        availability=availability,
        drain_deadline=Duration(seconds=300),
        # Not in the mask: it is not done.
        concurrency=8,
        labels={"canary": "canary"},
        update_mask=mask("availability", "drain_deadline", "labels", "canary"),
    )
    assert particulars(request, registry_pb2.UpdateWorkerResponse()) == {
        "worker_id": "w1",
        "availability": word,
        "drain_deadline": "300s",
        "labels": 1,
        "update_mask": ["availability", "drain_deadline", "labels"],
    }


def test_what_is_taken_back_is_told_as_well() -> None:
    request = registry_pb2.UpdateWorkerRequest(
        worker_id="w1", update_mask=mask("concurrency", "availability", "drain_deadline")
    )
    assert particulars(request, None) == {
        "worker_id": "w1",
        "concurrency": 0,
        "availability": "unspecified",
        "drain_deadline": None,
        "update_mask": ["concurrency", "availability", "drain_deadline"],
    }


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_is_another_line_than_its_end(paused: bool) -> None:
    policy = registry_pb2.QueuePolicy(name="gpu", paused=paused)
    request = registry_pb2.UpdateQueueRequest(policy=policy, update_mask=mask("paused"))
    answer = registry_pb2.UpdateQueueResponse(policy=policy)
    assert particulars(request, answer) == {"queue": "gpu", "paused": paused, "update_mask": ["paused"]}


def test_routing_is_told_by_its_words_and_how_much_there_is_of_the_rest() -> None:
    routing = registry_pb2.Routing(
        strategy=run_pb2.STRATEGY_LEAST_LOADED,
        limits=[registry_pb2.ModelLimit(model="canary", starts_per_minute=9)] * 2,
        preferences=[registry_pb2.ModelPreference(model="canary")],
        # Of the name that other messages have names of queues under.
        queues=[registry_pb2.QueuePolicy(name="canary")],
    )
    request = registry_pb2.UpdateRoutingRequest(routing=routing, update_mask=mask("strategy", "limits"))
    assert particulars(request, registry_pb2.UpdateRoutingResponse(routing=routing)) == {
        "strategy": "least_loaded",
        "limits": 2,
        "update_mask": ["strategy", "limits"],
    }


def test_what_cannot_be_is_told_in_a_line_that_can_be_read() -> None:
    """As numbers that JSON has no word for, or a moment that no calendar has."""
    spec = access_pb2.KeySpec(rate=float("nan"), expires_at=Timestamp(seconds=2**60), queues=["q"] * 20)
    assert particulars(access_pb2.CreateKeyRequest(spec=spec), None) == {
        "rate": "nan",
        "expires_at": 2**60,
        "queues": [*["q"] * 16, "and 4 more"],
    }


def test_secrets_in_the_place_of_names_are_hidden_and_names_are_cut() -> None:
    slip = mint("w").secret
    told = particulars(planner_pb2.CancelTaskRequest(task_id=slip), None)
    assert told == {"task_id": f"{slip[:13]}[hidden]"}
    assert particulars(planner_pb2.CancelPlanRequest(plan_id="p" * 1_000), None) == {"plan_id": "p" * 256}
