"""KEDA's words for a queue that wants workers."""

from collections.abc import Mapping

from devteam.keda import externalscaler_pb2
from devteam.mesh.validation import Violations
from devteam_router.scaling.advice import Trigger

_METRIC = "devteam_queue_demand_slots"
_SLOTS = "slotsPerWorker"
# As many as a worker may have.
_MOST_SLOTS = 10_000


def trigger_from_proto(ref: externalscaler_pb2.ScaledObjectRef) -> Trigger:
    """What a trigger's metadata says; keys that are KEDA's own are left alone. Raises InvalidInput."""
    found = Violations()
    trigger = _trigger(ref.scalerMetadata, found)
    found.raise_if_any()
    return trigger


def measured_from_proto(request: externalscaler_pb2.GetMetricsRequest) -> Trigger:
    """The trigger whose demand is asked for. Raises InvalidInput."""
    found = Violations()
    with found.at("scaledObjectRef"):
        trigger = _trigger(request.scaledObjectRef.scalerMetadata, found)
    found.raise_if_any()
    if request.metricName not in {"", metric_name(trigger)}:
        found.add("metricName", "UNKNOWN_METRIC", f"must be {metric_name(trigger)}, as GetMetricSpec says")
    found.raise_if_any()
    return trigger


def metric_name(trigger: Trigger) -> str:
    """One for each queue: KEDA tells the metrics of a ScaledObject apart by their names."""
    return f"{_METRIC}-{trigger.queue}"


def spec_to_proto(trigger: Trigger) -> externalscaler_pb2.GetMetricSpecResponse:
    """How much of the demand one worker is good for."""
    slots = trigger.slots_per_worker
    spec = externalscaler_pb2.MetricSpec(
        metricName=metric_name(trigger), targetSize=slots, targetSizeFloat=float(slots)
    )
    return externalscaler_pb2.GetMetricSpecResponse(metricSpecs=[spec])


def demand_to_proto(trigger: Trigger, slots: int) -> externalscaler_pb2.GetMetricsResponse:
    """How many slots are wanted."""
    value = externalscaler_pb2.MetricValue(
        metricName=metric_name(trigger), metricValue=slots, metricValueFloat=float(slots)
    )
    return externalscaler_pb2.GetMetricsResponse(metricValues=[value])


def local_demand_request(queue: str) -> externalscaler_pb2.GetMetricsRequest:
    """Asks another Router for what it knows itself."""
    ref = externalscaler_pb2.ScaledObjectRef(scalerMetadata={"queue": queue, "local": "true"})
    return externalscaler_pb2.GetMetricsRequest(scaledObjectRef=ref)


def local_demand_from_proto(response: externalscaler_pb2.GetMetricsResponse) -> int:
    """Its answer."""
    return sum(value.metricValue for value in response.metricValues)


def _trigger(metadata: Mapping[str, str], found: Violations) -> Trigger:
    with found.at("scalerMetadata"):
        queue = metadata.get("queue", "")
        found.name("queue", queue)
        slots = metadata.get(_SLOTS, "1")
        if not (slots.isascii() and slots.isdigit() and len(slots) <= len(str(_MOST_SLOTS))):
            found.add(_SLOTS, "INVALID_VALUE", f"is {slots[:32]!r}; must be a whole number of 1 to {_MOST_SLOTS}")
            return Trigger(queue)
        found.between(_SLOTS, int(slots), 1, _MOST_SLOTS)
        return Trigger(queue, int(slots), local=metadata.get("local") == "true")
