"""What removes a worker from the choice, in words."""

import pytest
from devteam_router.domain import Availability, Requirements, Resources, Signature, Worker, WorkerQueue, WorkerState
from devteam_router.filters import serves_model, unavailable, unmet

from tests.fakes.router_samples import a_signature, a_worker

GPU_BOX = a_worker(
    resources=Resources(gpu=True, gpu_model="NVIDIA RTX 5080", ram_gb=24.0, cpu_cores=8),
    labels={"disk": "ssd"},
    tools=frozenset({"search", "shell"}),
    data_sources=frozenset({"papers"}),
)


@pytest.mark.parametrize(
    ("models", "model", "expected"),
    [
        ((), "anything", True),
        (("opus", "ollama:*"), "opus", True),
        (("opus", "ollama:*"), "ollama:llama3.3", True),
        (("opus", "ollama:*"), "haiku", False),
        (("opus",), "Opus", False),
    ],
)
def test_a_queue_serves_the_models_that_its_patterns_match(models: tuple[str, ...], model: str, expected: bool) -> None:
    assert serves_model(WorkerQueue("q", 1, models), model) is expected


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (a_signature(), ""),
        (a_signature(requirements=Requirements(gpu=True)), ""),
        (a_signature(requirements=Requirements(gpu_model="rtx 5080")), ""),
        (a_signature(requirements=Requirements(gpu_model="H200")), "has no H200"),
        (a_signature(requirements=Requirements(min_ram_gb=24.0)), ""),
        (a_signature(requirements=Requirements(min_ram_gb=32.5)), "has 24 GB of memory, 32.5 are required"),
        (a_signature(requirements=Requirements(min_cpu_cores=16)), "has 8 cores, 16 are required"),
        (a_signature(requirements=Requirements(labels=(("disk", "ssd"),))), ""),
        (a_signature(requirements=Requirements(labels=(("disk", "hdd"),))), "does not carry the label disk=hdd"),
        (a_signature(requirements=Requirements(labels=(("zone", "a"),))), "does not carry the label zone=a"),
        (a_signature(tools=("search", "browser")), "does not offer the tool browser"),
        (a_signature(requirements=Requirements(data_sources=("papers",))), ""),
        (a_signature(requirements=Requirements(data_sources=("mail", "papers"))), "does not have mail at hand"),
    ],
)
def test_the_first_requirement_that_is_not_met_is_named(signature: Signature, words: str) -> None:
    assert unmet(GPU_BOX, signature) == words


def test_a_worker_without_a_gpu_says_so() -> None:
    assert unmet(a_worker(), a_signature(requirements=Requirements(gpu=True, gpu_model="H200"))) == "has no GPU"


@pytest.mark.parametrize(
    ("worker", "connected", "words"),
    [
        (a_worker(), True, ""),
        (a_worker(), False, "is not connected to this router"),
        (a_worker(state=WorkerState.SUSPECT), True, ""),
        (a_worker(state=WorkerState.SUSPECT), False, "is not connected to this router"),
        (a_worker(state=WorkerState.UNHEALTHY), True, "is unhealthy"),
        (a_worker(state=WorkerState.LOST, availability=Availability.CORDONED), False, "is lost"),
        (a_worker(availability=Availability.CORDONED), True, "is cordoned"),
        (a_worker(availability=Availability.DRAINING), False, "is draining"),
    ],
)
def test_a_worker_that_takes_no_work_says_why(worker: Worker, connected: bool, words: str) -> None:
    assert unavailable(worker, connected=connected) == words
