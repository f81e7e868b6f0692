"""KEDA's words."""

import pytest
from devteam_router.convert.scaling import (
    demand_to_proto,
    local_demand_from_proto,
    local_demand_request,
    measured_from_proto,
    spec_to_proto,
    trigger_from_proto,
)
from devteam_router.scaling.advice import Trigger

from devteam.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from devteam.mesh.errors import InvalidInput

SIXTEEN = Trigger("cpu-queue", 16)


def ref(**metadata: str) -> ScaledObjectRef:
    return ScaledObjectRef(name="devteam-worker", namespace="workers", scalerMetadata=metadata)


def test_a_trigger_as_keda_sends_it() -> None:
    metadata = {"scalerAddress": "router:7402", "enableTLS": "true", "queue": "cpu-queue", "slotsPerWorker": "16"}
    assert trigger_from_proto(ref(**metadata)) == SIXTEEN


def test_a_worker_runs_one_attempt_unless_told() -> None:
    assert trigger_from_proto(ref(queue="gpu")) == Trigger("gpu", 1)


@pytest.mark.parametrize(
    ("metadata", "fields"),
    [
        ({}, ["queue"]),
        ({"queue": "a b"}, ["queue"]),
        ({"queue": "q" * 129}, ["queue"]),
        ({"queue": "q", "slotsPerWorker": "0"}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": "-1"}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": "10001"}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": "9" * 5_000}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": "2.5"}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": ""}, ["slotsPerWorker"]),
        ({"queue": "q", "slotsPerWorker": "\N{ARABIC-INDIC DIGIT FOUR}"}, ["slotsPerWorker"]),
        ({"slotsPerWorker": "many"}, ["queue", "slotsPerWorker"]),
    ],
)
def test_what_is_wrong_is_named_by_its_key(metadata: dict[str, str], fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        trigger_from_proto(ref(**metadata))
    assert [violation.field for violation in caught.value.violations] == [f"scalerMetadata.{key}" for key in fields]
    with pytest.raises(InvalidInput) as caught:
        measured_from_proto(GetMetricsRequest(scaledObjectRef=ref(**metadata)))
    paths = [f"scaledObjectRef.scalerMetadata.{key}" for key in fields]
    assert [violation.field for violation in caught.value.violations] == paths


def test_the_metric_that_was_specified_can_be_asked_for() -> None:
    (spec,) = spec_to_proto(SIXTEEN).metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (
        "devteam_queue_demand_slots-cpu-queue",
        16,
        16.0,
    )
    metadata = ref(queue="cpu-queue", slotsPerWorker="16")
    for name in (spec.metricName, ""):
        assert measured_from_proto(GetMetricsRequest(scaledObjectRef=metadata, metricName=name)) == SIXTEEN


def test_another_metric_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        measured_from_proto(GetMetricsRequest(scaledObjectRef=ref(queue="cpu-queue"), metricName="cpu"))
    assert "metricName: must be devteam_queue_demand_slots-cpu-queue" in caught.value.message


def test_the_demand_is_told_both_ways() -> None:
    (value,) = demand_to_proto(SIXTEEN, 500).metricValues
    assert (value.metricName, value.metricValue, value.metricValueFloat) == (
        "devteam_queue_demand_slots-cpu-queue",
        500,
        500.0,
    )


def test_routers_ask_each_other_for_what_they_know_themselves() -> None:
    asked = measured_from_proto(local_demand_request("cpu-queue"))
    assert asked == Trigger("cpu-queue", 1, local=True)
    assert local_demand_from_proto(demand_to_proto(asked, 7)) == 7
