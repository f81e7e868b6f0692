"""What of new settings takes effect while a worker works."""

from typing import Any

import pytest
from devteam_worker.domain import Declaration, Queue
from devteam_worker.live import declared_anew, taken_over
from devteam_worker.settings import WorkerSettings, load_settings

OLD: dict[str, Any] = {"queue": ["a", "b"], "concurrency": 4, "provider": "sim"}
DECLARATION = Declaration("w1", "i-1", (Queue("a", 4, ("sim",)), Queue("b", 4)), 4)


def settings(**more: Any) -> WorkerSettings:
    return load_settings(None, {**OLD, **more}, {})


@pytest.mark.parametrize(
    ("wished", "applied", "waiting"),
    [
        ({}, (), ()),
        ({"concurrency": 8}, ("concurrency", "queues"), ()),
        ({"weight": 2.0, "labels": {"a": "b"}, "log_level": "DEBUG"}, ("weight", "labels", "logLevel"), ()),
        ({"provider": "auto", "weight": 2.0}, ("weight",), ("provider",)),
        ({"queue": ["a"], "concurrency": 8}, ("concurrency",), ("queues",)),
        ({"models": ["opus"]}, (), ("queues",)),
        ({"api_url": "http://elsewhere:1"}, (), ("apiUrl",)),
    ],
)
def test_numbers_labels_and_the_log_level_change_and_the_rest_waits(
    wished: dict[str, Any], applied: tuple[str, ...], waiting: tuple[str, ...]
) -> None:
    change = taken_over(settings(), settings(**wished))
    assert (change.applied, change.waiting) == (applied, waiting)
    assert taken_over(change.settings, settings(**wished)).applied == ()


def test_a_worker_with_other_slots_declares_the_same_queues_and_models() -> None:
    change = taken_over(settings(), settings(concurrency=8, labels={"a": "b"}))
    declared = declared_anew(DECLARATION, change.settings)
    assert declared.queues == (Queue("a", 8, ("sim",)), Queue("b", 8))
    assert (declared.concurrency, declared.labels, declared.instance_id) == (8, {"a": "b"}, "i-1")
