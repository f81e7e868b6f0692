"""The bounds that the contract sets to what a worker declares of itself."""

import re
from collections.abc import Sequence

from devteam.mesh.errors import Violation
from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2 as pb

_LABEL = re.compile(r"[A-Za-z0-9._/-]{1,63}")
_SLOTS = 10_000
_LISTED = 1_000
_WORD = 256


def faults(request: pb.RegisterWorkerRequest) -> Sequence[Violation]:
    """Everything that is wrong with a registration, each with its field."""
    found = Violations()
    found.name("instance_id", request.instance_id)
    with found.at("spec"):
        found.name("worker_id", request.spec.worker_id)
        _check_queues(request.spec, found)
        _check_labels(request.spec, found)
        _check_words(request.spec, found)
        found.between("concurrency", request.spec.concurrency, 0, _SLOTS)
        if request.spec.weight:
            found.between("weight", request.spec.weight, 0.01, 100)
    return found.items


def _check_queues(spec: pb.WorkerSpec, found: Violations) -> None:
    found.between("queues", len(spec.queues), 1, 64)
    names = [queue.name for queue in spec.queues]
    for index, queue in enumerate(spec.queues):
        with found.at(f"queues[{index}]"):
            found.name("name", queue.name)
            found.between("concurrency", queue.concurrency, 1, _SLOTS)
            found.count("models", len(queue.models), 256)
            if queue.name in names[:index]:
                found.add("name", "QUEUE_TWICE", f"is {queue.name!r}, as another queue's")


def _check_labels(spec: pb.WorkerSpec, found: Violations) -> None:
    found.count("labels", len(spec.labels), 64)
    for key, value in spec.labels.items():
        if not _LABEL.fullmatch(key):
            found.add(f"labels[{key}]", "LABEL_FORMAT", "must be named by 1 to 63 characters of A-Z a-z 0-9 . _ / -")
        if len(value) > 255:
            found.add(f"labels[{key}]", "TEXT_TOO_LARGE", "must be at most 255 characters")


def _check_words(spec: pb.WorkerSpec, found: Violations) -> None:
    place = spec.location
    found.text("version", spec.version, limit=_WORD)
    found.text("resources.gpu_model", spec.resources.gpu_model, limit=_WORD)
    for name, word in (("region", place.region), ("zone", place.zone), ("host", place.host)):
        found.text(f"location.{name}", word, limit=_WORD)
    lists = {
        "local_models": [model.name for model in spec.local_models],
        "data_sources": list(spec.data_sources),
        "tools": list(spec.tools),
        "model_aliases": [word for pair in spec.model_aliases.items() for word in pair],
    }
    for name, words in lists.items():
        found.count(name, len(getattr(spec, name)), _LISTED)
        for word in words:
            found.text(name, word, limit=_WORD)
