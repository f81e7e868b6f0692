"""What a client tells a mesh of how tasks are placed, and hears of it."""

from datetime import UTC, datetime, timedelta

import pytest

from devteam import (
    LoadBalancing,
    ModelLimit,
    Placement,
    QueueInfo,
    QueuePolicy,
    Requirements,
    Routing,
    Strategy,
    Throttle,
    WaitReason,
    WorkerInfo,
)
from devteam.errors import InvalidInput
from devteam.testing import FakeMesh


async def test_what_is_not_said_stays_as_it_is() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        assert await client.get_routing() == Routing()
        await client.update_routing(strategy="least-loaded", locality_wait=timedelta(seconds=3))
        limits = (ModelLimit(model="opus", starts_per_minute=60.0),)
        preferences = {"ollama:*": ["gpu-queue"]}
        changed = await client.update_routing(preferences=preferences, limits=limits)
        assert changed == await client.get_routing()
        assert changed == Routing(
            strategy=Strategy.LEAST_LOADED,
            locality_wait=timedelta(seconds=3),
            preferences={"ollama:*": ("gpu-queue",)},
            limits=limits,
        )


async def test_an_empty_wish_is_taken_back() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        await client.update_routing(strategy="locality", locality_wait="3s", preferences={"opus": ["gpu"]})
        assert await client.update_routing(strategy="", locality_wait="", preferences={}, limits=()) == Routing()


async def test_a_length_of_time_that_makes_no_sense_is_refused_here() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        with pytest.raises(InvalidInput, match="locality_wait: 'soon' is no length of time"):
            await client.update_routing(locality_wait="soon")


async def test_a_queue_is_paused_and_goes_on() -> None:
    """All else of its policy stays."""
    async with FakeMesh(queues=[QueueInfo(name="gpu-queue")]) as mesh, mesh.client() as client:
        await client.update_queue("gpu-queue", strategy=Strategy.ROUND_ROBIN, tenant_weights={"acme": 3})
        await client.update_queue("gpu-queue", paused=True)
        assert await client.list_queues() == [QueueInfo(name="gpu-queue", paused=True, strategy=Strategy.ROUND_ROBIN)]
        policy = await client.update_queue("gpu-queue", paused=False, locality_wait="0s")
        assert policy == (await client.get_routing()).queue("gpu-queue")
        assert policy == QueuePolicy(
            name="gpu-queue",
            strategy=Strategy.ROUND_ROBIN,
            locality_wait=timedelta(),
            tenant_weights={"acme": 3.0},
        )


async def test_models_that_providers_keep_waiting_are_listed() -> None:
    throttle = Throttle(model="opus", until=datetime(2026, 11, 22, 12, tzinfo=UTC), reason="anthropic: 429", waiting=3)
    async with FakeMesh(throttles=[throttle]) as mesh, mesh.client() as client:
        assert await client.list_throttles() == [throttle]


async def test_a_worker_is_given_a_weight_and_it_is_taken_back() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        assert (await client.update_worker("fake-1", weight=4)).weight == 4.0
        assert (await client.update_worker("fake-1", concurrency=2)).weight == 4.0
        assert (await client.update_worker("fake-1", weight=0)).weight == 1.0


WORKERS = (
    WorkerInfo(id="asus", queues=("gpu-queue",), gpu=True, gpu_model="RTX 5080", ram_gb=24.0),
    WorkerInfo(id="laptop", queues=("gpu-queue", "default"), tools=("web",), data_sources=("papers",)),
)


async def test_a_task_that_is_not_submitted_is_explained() -> None:
    """By what it would wait for, or by who could run it."""
    needs = Requirements(gpu_model="5080", min_ram_gb=16)
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client() as client:
        fits = await client.explain_run(model="opus", queue="gpu-queue", placement=Placement(requirements=needs))
        waits = await client.explain_run(model="opus", queue="nowhere")
        data = Requirements(data_sources=["papers"])
        near = await client.explain_run(model="opus", tools=["web"], placement=Placement(requirements=data))
        assert await client.list_tasks() == []
    assert (fits.wait_reason, [one.rejected_because for one in fits.candidates]) == (None, ["", "has no GPU"])
    assert waits.wait_reason is WaitReason.NO_WORKER_MEETS_REQUIREMENTS
    assert (near.candidates[0].worker_id, near.candidates[0].rejected_because) == ("laptop", "")


async def test_a_dry_run_goes_where_the_clients_load_balancing_says() -> None:
    """As the task itself would."""
    balancing = LoadBalancing(preferences={"opus": ["gpu-queue"]})
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client(load_balancing=balancing) as client:
        explanation = await client.explain_run(model="opus")
    assert {candidate.queue for candidate in explanation.candidates} == {"gpu-queue"}
