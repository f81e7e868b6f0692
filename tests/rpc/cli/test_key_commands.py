"""What `devteam keys`, `join-token` and `whoami` say and do."""

import json
import stat
from pathlib import Path
from typing import Any

from devteam.mesh.access.key import PATTERN, id_of
from devteam.testing import FakeMesh
from tests.rpc.cli.command import Done, ran


async def ran_as(mesh: FakeMesh, key: str, *arguments: str) -> Done:
    return await ran(mesh, "--api-key", key, *arguments)


async def made(mesh: FakeMesh, *arguments: str) -> dict[str, Any]:
    done = await ran_as(mesh, mesh.mesh_key, "keys", "create", *arguments, "-o", "json")
    assert done.code == 0, done.err
    read: dict[str, Any] = json.loads(done.out)
    return read


async def test_a_key_stands_alone_on_stdout() -> None:
    """So that a shell can take it; the words are beside it."""
    async with FakeMesh(keys=True) as mesh:
        arguments = ("ci", "--tenant", "team-a", "--queue", "gpu", "--queue", "cpu", "--expires", "90d")
        done = await ran_as(mesh, mesh.mesh_key, "keys", "create", *arguments)
    assert done.code == 0, done.err
    assert PATTERN.fullmatch(done.out.strip())
    assert done.err == (
        f"{id_of(done.out.strip())} (ci): client of tenant team-a in the queues gpu, cpu; ends in 90 d. "
        "It is not shown again:\n"
    )


async def test_a_key_is_data_for_programs() -> None:
    async with FakeMesh(keys=True) as mesh:
        new = await made(mesh, "box", "--role", "worker", "--worker", "gpu-box", "--rate", "2.5")
    assert id_of(new["secret"]) == new["key"]["id"]
    assert (new["key"]["role"], new["key"]["worker_id"], new["key"]["rate"]) == ("worker", "gpu-box", 2.5)


async def test_keys_are_listed_without_what_opens_anything() -> None:
    """Those that ended only when asked for."""
    async with FakeMesh(keys=True) as mesh:
        stays, goes = await made(mesh, "stays", "-t", "team-a"), await made(mesh, "goes", "-t", "team-a")
        revoked = await ran_as(mesh, mesh.mesh_key, "keys", "revoke", goes["key"]["id"])
        listed = await ran_as(mesh, mesh.mesh_key, "keys", "list")
        everything = await ran_as(mesh, mesh.mesh_key, "keys", "list", "--all")
        data = await ran_as(mesh, mesh.mesh_key, "keys", "list", "--all", "-o", "jsonl")
    assert revoked.err == f"{goes['key']['id']} (goes) opens nothing any more\n"
    assert [line.split()[:4] for line in listed.out.splitlines()[1:]] == [
        [stays["key"]["id"], "stays", "client", "team-a"]
    ]
    assert [line.split()[-1] for line in everything.out.splitlines()] == ["STATE", "valid", "revoked"]
    assert [json.loads(line)["name"] for line in data.out.splitlines()] == ["stays", "goes"]
    assert not PATTERN.search(listed.out + everything.out + data.out)


async def test_an_unknown_key_is_not_revoked() -> None:
    async with FakeMesh(keys=True) as mesh:
        done = await ran_as(mesh, mesh.mesh_key, "keys", "revoke", "nobody11")
    assert (done.code, done.err) == (
        3,
        "error: no key named 'nobody11'; `devteam keys list --all` shows what there is\n",
    )


async def test_a_mesh_key_is_made_without_a_mesh(tmp_path: Path) -> None:
    """For its owner's eyes alone, and never over another one."""
    printed = await ran(None, "keys", "mesh")
    assert (printed.out[:4], bool(id_of(printed.out.strip()))) == ("dtm_", True)
    file = tmp_path / "mesh.key"
    written, again = (
        await ran(None, "keys", "mesh", "--file", str(file)),
        await ran(None, "keys", "mesh", "--file", str(file)),
    )
    assert (written.code, written.out, again.code) == (0, "", 2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert id_of(file.read_text().strip())


async def test_a_join_token_stands_alone_on_stdout() -> None:
    """What is to be done with it is said beside it."""
    async with FakeMesh(keys=True) as mesh:
        done = await ran_as(mesh, mesh.mesh_key, "join-token", "create", "--queue", "gpu-queue", "--ttl", "5m")
        assert done.code == 0, done.err
        assert done.out.startswith("dtj_")
        assert done.err.endswith(f"devteam-worker join TOKEN --server {mesh.url}\n")
        async with mesh.client(api_key="") as stranger:
            joined = await stranger.join_worker(done.out.strip(), "gpu-box")
    assert joined.key.queues == ("gpu-queue",)


async def test_whoami_says_what_a_key_is_good_for() -> None:
    async with FakeMesh(keys=True) as mesh, FakeMesh() as open_mesh:
        new = await made(mesh, "ci", "--tenant", "team-a", "--expires", "12h")
        mine = await ran_as(mesh, new["secret"], "whoami")
        data = await ran_as(mesh, new["secret"], "whoami", "-o", "json")
        nobody = await ran_as(mesh, "dtc_nonsense", "whoami")
        anyone = await ran(open_mesh, "whoami")
    rows = [line.split(maxsplit=1) for line in mine.out.splitlines()]
    assert rows == [
        ["name", "ci"],
        ["key", new["key"]["id"]],
        ["role", "client"],
        ["tenant", "team-a"],
        ["queues", "all"],
        ["ends", "in 12.0 h"],
    ]
    assert json.loads(data.out)["key_id"] == new["key"]["id"]
    assert nobody.code == 2
    assert "the API key is not valid" in nobody.err
    assert anyone.err == "this mesh asks for no keys: whoever reaches it may do everything\n"


async def test_what_a_key_may_not_do_is_said() -> None:
    async with FakeMesh(keys=True) as mesh:
        new = await made(mesh, "ci", "--tenant", "team-a")
        done = await ran_as(mesh, new["secret"], "keys", "list")
    assert done.code == 2
    assert done.err.endswith("; `devteam whoami` shows what your key is good for\n")


async def test_wrong_words_are_refused_before_a_key_is_made() -> None:
    async with FakeMesh(keys=True) as mesh:
        role = await ran_as(mesh, mesh.mesh_key, "keys", "create", "ci", "--role", "root")
        time = await ran_as(mesh, mesh.mesh_key, "keys", "create", "ci", "--expires", "soon")
        tenant = await ran_as(mesh, mesh.mesh_key, "keys", "create", "ci")
    assert (role.code, "known are client, worker, operator, admin" in role.err) == (2, True)
    assert (time.code, tenant.code) == (2, 2)
    assert "spec.tenant: must not be empty" in tenant.err
