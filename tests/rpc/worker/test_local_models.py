"""What a worker's beats say of the models on its machine."""

import asyncio

import pytest
from devteam_worker.providers.base import LocalModel

from devteam.mesh.errors import Internal
from devteam.v1 import registry_pb2
from tests.fakes.mesh_server import PATIENCE, ScriptedMesh
from tests.fakes.ollama_server import OllamaServer, done, part, stream
from tests.rpc.worker.embedded import a_worker, started
from tests.rpc.worker.rig import working

COLD, WARM = LocalModel("sim", size_bytes=7), LocalModel("sim", resident=True, size_bytes=7)
SAID_WARM = [registry_pb2.LocalModel(name="sim", resident=True, size_bytes=7)]


async def listed(mesh: ScriptedMesh) -> list[registry_pb2.LocalModel]:
    """What the next beat that says anything of models says."""
    async with asyncio.timeout(PATIENCE):
        while not (beat := await mesh.registry.beaten()).set_local_models:
            pass
        return list(beat.local_models)


async def test_a_beat_tells_which_models_are_in_memory_once_that_has_changed(mesh: ScriptedMesh) -> None:
    """Once: those after it say nothing of models."""
    mesh.registry.interval = 0.02
    async with working(mesh, models=[COLD]) as rig:
        assert not (await mesh.registry.beaten()).set_local_models
        rig.machine.models = (WARM,)
        assert await listed(mesh) == SAID_WARM
        async with asyncio.timeout(PATIENCE):
            while (await mesh.registry.beaten()).set_local_models:
                pass  # said again, since the answer came too late on a busy machine
        rig.machine.models = ()
        assert await listed(mesh) == []


async def test_a_machine_that_does_not_answer_holds_up_no_beat(mesh: ScriptedMesh) -> None:
    mesh.registry.interval = 0.02
    async with working(mesh, models=[COLD]) as rig:
        rig.machine.gate.clear()
        rig.machine.models = (WARM,)
        for _ in range(5):
            assert not (await mesh.registry.beaten()).set_local_models
        rig.machine.gate.set()
        assert await listed(mesh) == SAID_WARM


async def test_a_model_that_a_run_has_loaded_is_told_long_before_the_next_beat_is_due(mesh: ScriptedMesh) -> None:
    async with working(mesh, models=[COLD]) as rig:
        rig.machine.models = (WARM,)
        rig.inventory.ran("sim")
        assert await listed(mesh) == SAID_WARM


async def test_a_beat_that_was_not_heard_has_told_nothing(mesh: ScriptedMesh) -> None:
    async with working(mesh, models=[COLD]) as rig:
        mesh.registry.refusals["Heartbeat"].append(Internal("oh"))
        rig.machine.models = (WARM,)
        rig.inventory.ran("sim")
        assert await listed(mesh) == SAID_WARM
        rig.registration.beat_now()
        assert await listed(mesh) == SAID_WARM


async def test_a_worker_that_registers_again_says_what_it_has_by_now(mesh: ScriptedMesh) -> None:
    async with working(mesh, models=[COLD]) as rig:
        first = await mesh.registry.registered()
        assert list(first.spec.local_models) == [registry_pb2.LocalModel(name="sim", size_bytes=7)]
        rig.machine.models = (WARM,)
        rig.inventory.ran("sim")
        assert await listed(mesh) == SAID_WARM
        mesh.registry.forget()
        rig.registration.beat_now()
        assert list((await mesh.registry.registered()).spec.local_models) == SAID_WARM


async def test_a_worker_tells_what_its_ollama_has_loaded_for_a_run(
    mesh: ScriptedMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as the run has ended: the next beat is half a minute away."""
    sizes = {"llama3.3:latest": 42, "qwen3:8b": 7}
    async with OllamaServer() as ollama:
        ollama.install(sizes)
        ollama.install(sizes, loaded=("llama3.3:latest",))
        ollama.answer(stream(part("Hello"), done()))
        monkeypatch.setenv("DEVTEAM_PROVIDER", "ollama")
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        async with started(a_worker(mesh)):
            line = await mesh.router.attached()
            cold = {model.name: model.resident for model in (await mesh.registry.registered()).spec.local_models}
            assert cold == {"ollama:llama3.3": False, "ollama:qwen3:8b": False}
            line.assign(model="ollama:llama3.3")
            warm = {model.name: model.resident for model in await listed(mesh)}
            assert warm == {"ollama:llama3.3": True, "ollama:qwen3:8b": False}
            while (await line.hears()).WhichOneof("item") != "report":
                pass
            line.ack_report()
