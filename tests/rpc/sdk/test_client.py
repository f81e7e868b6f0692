"""The client against a mesh over real gRPC."""

import asyncio

import pytest

from devteam import DevTeamClient, LoadBalancing, Placement, PlanState, Step, TaskState
from devteam.errors import InvalidInput, NotFound, Unavailable
from devteam.testing import FakeMesh
from tests.rpc.sdk.watching import spoken


async def test_lists_can_be_narrowed() -> None:
    """By state, by plan, by number; the newest first."""
    async with FakeMesh() as mesh, mesh.client() as client:
        tasks = [await client.create_task(f"p{i}", model="m") for i in range(3)]
        plan = await client.create_plan("one", [Step(id="a", prompt="p", model="m")])
        await client.wait(plan.id)
        for task in tasks:
            await client.wait(task.id)
        newest_first = [task.id for task in reversed(tasks)]
        assert [task.id for task in await client.list_tasks()] == newest_first
        assert [task.id for task in await client.list_tasks(limit=2)] == newest_first[:2]
        assert await client.list_tasks(state=TaskState.FAILED) == []
        assert [task.step_id for task in await client.list_tasks(plan_id=plan.id)] == ["a"]
        [listed] = await client.list_plans(state=PlanState.SUCCEEDED)
        assert (listed.id, listed.tasks) == (plan.id, ())


async def test_load_balancing_goes_with_every_task_and_step() -> None:
    """Preferences for those that name no queue, the strategy for all."""
    spread = LoadBalancing("least-loaded", {"opus": ["gpu-queue"], "ollama:*": ["gpu-queue", "spare"]})
    async with FakeMesh() as mesh, mesh.client(load_balancing=spread) as client:
        task = await client.create_task("p", model="ollama:phi")
        assert task.spec.placement.preferred_queues == ("gpu-queue", "spare")
        steps = [Step(id="a", prompt="p", model="opus"), Step(id="b", prompt="p", model="opus", queue="mine")]
        plan = await client.create_plan("n", steps)
        assert [step.spec.placement for step in plan.tasks] == [
            Placement(strategy="least-loaded", preferred_queues=("gpu-queue",)),
            Placement(strategy="least-loaded"),
        ]


async def test_load_balancing_in_a_mapping_goes_with_every_task() -> None:
    said = {"strategy": "capability-match", "preferences": {"opus": ["gpu-queue"]}}
    async with FakeMesh() as mesh, mesh.client(load_balancing=said) as client:
        task = await client.create_task("p", model="opus")
        assert task.spec.placement == Placement(strategy="capability-match", preferred_queues=("gpu-queue",))


async def test_unknown_ids_are_not_found() -> None:
    """Whatever is asked about them."""
    async with FakeMesh() as mesh, mesh.client() as client:
        for call in (client.get_task, client.get_plan, client.wait, client.get_worker, client.cancel_plan):
            with pytest.raises(NotFound):
                await call("nobody")
        with pytest.raises(NotFound):
            await spoken(client, "nobody")


async def test_a_mesh_that_is_not_there_is_unavailable() -> None:
    """In words that name it."""
    async with DevTeamClient("http://127.0.0.1:1", timeout=60.0) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get_workers()
    assert caught.value.message == "cannot reach http://127.0.0.1:1: Connection refused"
    assert caught.value.reason == "UNREACHABLE"


async def test_nor_does_a_wait_last_for_ever_where_no_mesh_is() -> None:
    async with DevTeamClient("http://127.0.0.1:1", timeout=1.0) as client, asyncio.timeout(60):
        with pytest.raises(Unavailable):
            await client.wait("t")


def test_the_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is given."""
    monkeypatch.delenv("DEVTEAM_API_URL", raising=False)
    assert DevTeamClient().api_url == "http://127.0.0.1:7400"
    monkeypatch.setenv("DEVTEAM_API_URL", "https://devteam.example")
    assert DevTeamClient().api_url == "https://devteam.example"
    assert DevTeamClient("http://other.example:80").api_url == "http://other.example:80"


async def test_a_url_without_a_host_is_refused() -> None:
    async with DevTeamClient("http://") as client:
        with pytest.raises(InvalidInput, match="http://host:port"):
            await client.get_workers()
