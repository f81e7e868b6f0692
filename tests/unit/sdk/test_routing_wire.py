"""The routing policy on the wire."""

from datetime import timedelta

import pytest

from devteam import routing_wire
from devteam.errors import InvalidInput
from devteam.routing import ModelLimit, QueuePolicy, Routing
from devteam.specs import Strategy
from devteam.v1 import registry_pb2

POLICY = Routing(
    strategy=Strategy.LEAST_LOADED,
    locality_wait=timedelta(seconds=3),
    preferences={"opus": ("gpu-queue",), "ollama:*": ("gpu-queue", "default")},
    limits=(ModelLimit(model="opus", starts_per_minute=60.0, queue="gpu-queue"),),
)
QUEUE = QueuePolicy(
    name="gpu-queue",
    paused=True,
    strategy=Strategy.ROUND_ROBIN,
    locality_wait=timedelta(),
    tenant_weights={"acme": 3.0},
)


def test_a_policy_comes_back_as_it_went() -> None:
    """In the order in which it was written: the first pattern that fits wins."""
    told = routing_wire.routing_from_proto(routing_wire.routing_to_proto(POLICY))
    assert told == POLICY
    assert list(told.preferences) == ["opus", "ollama:*"]


def test_the_policy_of_a_queue_comes_back_as_it_went() -> None:
    """A wait of no time at all is said, too."""
    assert routing_wire.queue_policy_from_proto(routing_wire.queue_policy_to_proto(QUEUE)) == QUEUE


def test_a_policy_that_says_nothing_leaves_all_open() -> None:
    assert routing_wire.routing_from_proto(registry_pb2.Routing()) == Routing()
    assert routing_wire.queue_policy_from_proto(registry_pb2.QueuePolicy(name="q")) == QueuePolicy(name="q")


def test_a_queue_without_a_policy_has_one_that_says_nothing() -> None:
    assert Routing(queues=(QUEUE,)).queue("gpu-queue") is QUEUE
    assert Routing(queues=(QUEUE,)).queue("default") == QueuePolicy(name="default")


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        (Routing(strategy="localty"), "strategy: 'localty' is none of the choices; did you mean locality?"),
        (Routing(preferences={"opus": "gpu"}), "preferences['opus']: must be a list of names; write ['gpu']"),
    ],
)
def test_what_no_message_can_hold_is_refused(routing: Routing, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        routing_wire.routing_to_proto(routing)
    assert caught.value.message == message
