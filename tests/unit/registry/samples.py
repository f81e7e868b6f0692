"""Workers and routing to test with."""

from collections.abc import Iterable
from datetime import UTC, datetime

from devteam_registry.domain import (
    LocalModel,
    Location,
    Resources,
    Wishes,
    Worker,
    WorkerQueue,
    WorkerSpec,
)
from devteam_registry.routing import ModelLimit, ModelPreference, QueuePolicy, Routing, Strategy
from devteam_registry.sessions import digest_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def spec(worker_id: str = "w1", *, queues: Iterable[str] = ("default",)) -> WorkerSpec:
    """A small declaration: two slots a queue."""
    return WorkerSpec(worker_id, tuple(WorkerQueue(name, 2) for name in queues), labels={"disk": "ssd"})


def full_spec(worker_id: str = "gpu-box") -> WorkerSpec:
    """A declaration with every field filled."""
    return WorkerSpec(
        worker_id=worker_id,
        queues=(WorkerQueue("gpu-queue", 4, ("opus", "ollama:*")), WorkerQueue("default", 2)),
        concurrency=5,
        resources=Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24.5, cpu_cores=8),
        labels={"site": "home", "rack/unit": "7"},
        location=Location("eu", "eu-1", "asus"),
        local_models=(LocalModel("ollama:llama3.3", resident=True, size_bytes=40_000_000_000),),
        data_sources=("wiki",),
        tools=("search",),
        version="0.1.0",
        weight=4.0,
    )


def worker(worker_id: str = "w1", *, instance_id: str = "i1", wishes: Wishes | None = None) -> Worker:
    """A remembered worker whose session token is "token"."""
    return Worker(spec(worker_id), instance_id, digest_of("token"), NOON, NOON, wishes=wishes or Wishes())


def full_routing() -> Routing:
    """A routing with every field filled."""
    return Routing(
        strategy=Strategy.LEAST_LOADED,
        locality_wait=2.5,
        preferences=(ModelPreference("ollama:*", ("gpu-queue", "default")),),
        queues=(
            QueuePolicy("default", paused=True),
            QueuePolicy("gpu-queue", False, Strategy.LOCALITY, 0.0, {"team-a": 3.0, "team-b": 0.5}),
        ),
        limits=(ModelLimit("opus", 12.5, queue="gpu-queue"), ModelLimit("*", 600.0)),
    )
