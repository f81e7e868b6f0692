"""`devteam erase`."""

import json

from devteam.testing import FakeMesh
from tests.rpc.cli.command import ran
from tests.rpc.cli.test_terminal import typed


async def test_a_tenant_is_erased_when_it_is_said_twice() -> None:
    async with FakeMesh() as mesh, mesh.client(tenant="acme") as client:
        await client.create_task("hello", model="sim")
        refused = await ran(mesh, "erase", "--tenant", "acme")
        assert refused.code == 2
        assert "nobody is there to ask: say --yes to erase all of the tenant" in " ".join(refused.err.split())
        assert len(await client.list_tasks()) == 1
        done = await ran(mesh, "erase", "--tenant", "acme", "--yes")
        assert (done.code, done.out) == (0, "erased: 1 plans with 1 tasks\n")
        assert await client.list_tasks() == []
        again = await ran(mesh, "-o", "jsonl", "erase", "--tenant", "acme", "-y")
        assert json.loads(again.out) == {"plans": 0, "tasks": 0, "waiting_for": 0, "done": True}


async def test_on_a_terminal_the_name_has_to_be_typed() -> None:
    async with FakeMesh() as mesh, mesh.client(tenant="acme") as client:
        await client.create_task("hello", model="sim")
        code, screen = await typed(mesh, "erase", "--tenant", "acme", press=(b"Type 'acme'", b"other\n"))
        assert code == 5
        assert "nothing was erased" in screen
        assert len(await client.list_tasks()) == 1
        code, screen = await typed(mesh, "erase", "--tenant", "acme", press=(b"Type 'acme'", b"acme\n"))
        assert code == 0
        assert "erased: 1 plans with 1 tasks" in screen


async def test_without_a_mesh_it_says_so() -> None:
    done = await ran(None, "erase", "--tenant", "acme", "--yes")
    assert done.code == 4
    assert "cannot reach http://127.0.0.1:1" in done.err
