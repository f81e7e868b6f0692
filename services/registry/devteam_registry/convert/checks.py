"""The bounds that the contract states, for the messages that several requests share."""

import re
from collections.abc import Collection, Iterable, Mapping

from google.protobuf.field_mask_pb2 import FieldMask

from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2 as pb

MAX_CONCURRENCY = 10_000
# Bytes of a word that the contract does not bound.
MAX_WORD = 256
_MAX_QUEUES = 64
_MAX_MODELS = 256
_MAX_LABELS = 64
# Entries of a list that the contract does not bound.
_MAX_LIST = 1_000
_MOST_BYTES = 2**60
_LABEL_KEY = re.compile(r"[A-Za-z0-9._/-]{1,63}")


def check_spec(found: Violations, spec: pb.WorkerSpec) -> None:
    """Note everything wrong with a declaration."""
    found.name("worker_id", spec.worker_id)
    _check_queues(found, spec.queues)
    found.between("concurrency", spec.concurrency, 0, MAX_CONCURRENCY)
    found.text("resources.gpu_model", spec.resources.gpu_model, limit=MAX_WORD)
    found.between("resources.ram_gb", spec.resources.ram_gb, 0, 1e6)
    found.between("resources.cpu_cores", spec.resources.cpu_cores, 0, 100_000)
    check_labels(found, spec.labels)
    for part in ("region", "zone", "host"):
        found.text(f"location.{part}", getattr(spec.location, part), limit=MAX_WORD)
    check_local_models(found, spec.local_models)
    _check_words(found, "data_sources", spec.data_sources, limit=_MAX_LIST)
    _check_words(found, "tools", spec.tools, limit=_MAX_LIST)
    found.text("version", spec.version, limit=MAX_WORD)
    check_weight(found, spec.weight)
    _check_aliases(found, spec.model_aliases)


def check_vitals(found: Violations, vitals: pb.Vitals) -> None:
    """Note what no machine can have."""
    with found.at("vitals"):
        for name, number in (
            ("memory_available", vitals.memory_available),
            ("memory_total", vitals.memory_total),
            ("disk_free", vitals.disk_free),
            ("disk_total", vitals.disk_total),
        ):
            found.between(name, number, 0, _MOST_BYTES)


def _check_aliases(found: Violations, aliases: Mapping[str, str]) -> None:
    found.count("model_aliases", len(aliases), _MAX_LIST)
    for alias, model in sorted(aliases.items())[:_MAX_LIST]:
        found.text("model_aliases", alias, limit=MAX_WORD, required=True)
        found.text("model_aliases", model, limit=MAX_WORD, required=True)


def _check_queues(found: Violations, queues: Iterable[pb.WorkerQueue]) -> None:
    listed = list(queues)
    if not listed:
        found.add("queues", "FIELD_REQUIRED", "must name at least one queue")
    found.count("queues", len(listed), _MAX_QUEUES)
    seen: set[str] = set()
    for index, queue in enumerate(listed[:_MAX_QUEUES]):
        with found.at(f"queues[{index}]"):
            found.name("name", queue.name)
            if queue.name in seen:
                found.add("name", "QUEUE_DUPLICATE", f"the queue {queue.name!r} is listed twice")
            found.between("concurrency", queue.concurrency, 1, MAX_CONCURRENCY)
            _check_words(found, "models", queue.models, limit=_MAX_MODELS)
        seen.add(queue.name)


def check_local_models(found: Violations, models: Iterable[pb.LocalModel]) -> None:
    """Note everything wrong with a list of local models."""
    listed = list(models)
    found.count("local_models", len(listed), _MAX_LIST)
    for index, model in enumerate(listed[:_MAX_LIST]):
        with found.at(f"local_models[{index}]"):
            found.text("name", model.name, limit=MAX_WORD, required=True)
            found.between("size_bytes", model.size_bytes, 0, 2**63 - 1)


def check_weight(found: Violations, weight: float) -> None:
    """Note a weight that is neither 0 nor within its bounds."""
    if weight:
        found.between("weight", weight, 0.01, 100)


def check_mask(found: Violations, mask: FieldMask, known: Collection[str]) -> frozenset[str]:
    """The paths that an update names; it has to name some, and only known ones."""
    paths = frozenset(mask.paths)
    if not paths or not paths.issubset(known):
        found.add("update_mask", "FIELD_MASK_INVALID", f"must name one or more of {', '.join(known)}")
    return paths


def check_labels(found: Violations, labels: Mapping[str, str]) -> None:
    """Note everything wrong with labels."""
    found.count("labels", len(labels), _MAX_LABELS)
    for key in sorted(labels)[:_MAX_LABELS]:
        if not _LABEL_KEY.fullmatch(key):
            found.add("labels", "LABEL_KEY_FORMAT", f"{key[:63]!r}: a key is 1 to 63 characters of A-Z a-z 0-9 . _ / -")
        if len(labels[key]) > 255:
            found.add("labels", "TEXT_TOO_LARGE", f"{key[:63]!r}: a value has at most 255 characters")
        if "\x00" in labels[key]:
            found.add("labels", "TEXT_FORBIDDEN_CHAR", f"{key[:63]!r}: a value must not contain the NUL character")


def _check_words(found: Violations, field: str, words: Iterable[str], *, limit: int) -> None:
    listed = list(words)
    found.count(field, len(listed), limit)
    for index, word in enumerate(listed[:limit]):
        found.text(f"{field}[{index}]", word, limit=MAX_WORD, required=True)
