"""Whose tasks a client creates, and what it hears when there are too many of them."""

import pytest

from devteam import DevTeamClient, Step
from devteam.errors import ResourceExhausted
from devteam.testing import FakeMesh
from tests.fakes.full_planner import full_planner


async def test_a_client_says_whose_tasks_they_are() -> None:
    async with FakeMesh() as mesh, mesh.client(tenant="acme") as client:
        task = await client.create_task("hi", model="haiku")
        plan = await client.create_plan("research", [Step(id="a", prompt="hi", model="haiku")])
        assert (task.tenant, plan.tenant, plan.tasks[0].tenant) == ("acme", "acme", "acme")
        assert (await client.get_task(task.id)).tenant == "acme"


async def test_the_environment_says_it_for_those_who_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_TENANT", "from-the-environment")
    async with FakeMesh() as mesh, mesh.client() as client:
        assert (await client.create_task("hi", model="haiku")).tenant == "from-the-environment"
    async with FakeMesh() as mesh, mesh.client(tenant="") as client:
        assert (await client.create_task("hi", model="haiku")).tenant == "default"


async def test_a_full_mesh_is_told_to_the_caller_with_when_to_come_back() -> None:
    """At once: whoever makes the work has to slow down, and a client that tries again by itself would hide that."""
    async with full_planner() as (planner, url), DevTeamClient(url) as client:
        with pytest.raises(ResourceExhausted) as refused:
            await client.create_task("hi", model="haiku")
    assert (refused.value.reason, refused.value.retry_after) == ("QUEUE_FULL", 7.5)
    assert planner.asked == 1
