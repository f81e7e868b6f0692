"""A tenant that is forgotten, as its client sees it."""

import pytest

from devteam import Erased
from devteam.errors import NotFound
from devteam.testing import FakeMesh


async def test_a_tenant_is_erased_and_what_went_is_told() -> None:
    async with FakeMesh() as mesh, mesh.client(tenant="acme") as acme, mesh.client(tenant="other") as other:
        plan = await acme.create_plan("p", [{"id": "a", "prompt": "x", "model": "sim"}])
        task = await acme.create_task("hello", model="sim")
        kept = await other.create_task("hello", model="sim")
        assert [step async for step in other.erase_tenant("acme")] == [Erased(plans=2, tasks=2, done=True)]
        for missing in (acme.get_plan(plan.id), acme.get_task(task.id)):
            with pytest.raises(NotFound):
                await missing
        assert (await other.get_task(kept.id)).id == kept.id
        assert [step async for step in other.erase_tenant("acme")] == [Erased(done=True)]
