"""A worker inside one's own program."""

import asyncio

import pytest
from devteam_worker import DevTeamWorker, StartedTask, TaskFailed
from devteam_worker.app import Ready

from devteam.mesh.errors import InvalidInput, Unauthenticated, Violation
from devteam.v1 import registry_pb2
from tests.fakes.mesh_server import ENDLESS, PATIENCE, ScriptedMesh, scripted_mesh
from tests.rpc.worker.embedded import a_worker, plain, run_once, started
from tests.rpc.worker.machine import report_of


async def test_without_a_handler_it_runs_models(mesh: ScriptedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    worker = a_worker(mesh)
    async with started(worker):
        line = await mesh.router.attached()
        line.assign(model="sim", options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        assert (await line.hears()).tokens.first_seq == 1
        line.cancel()
        while (request := await line.hears()).WhichOneof("item") == "tokens":
            pass
        assert request.report.WhichOneof("outcome") == "cancellation"
        line.ack_report()


async def test_while_models_answer_its_owner_looks_on(mesh: ScriptedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each task that begins, and at each that fails."""
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    worker = a_worker(mesh)
    seen: list[str] = []
    errors: list[Exception] = []

    @worker.on_task_start
    def look(task: StartedTask) -> None:
        seen.append(f"Processing task {task.id} with model {task.model}")

    worker.on_error(errors.append)
    async with started(worker):
        line = await mesh.router.attached()
        line.assign(model="sim", options={"fail": "invalid_request"})
        assert (await line.hears()).WhichOneof("item") == "accepted"
        report = await report_of(line)
        line.ack_report()
    assert seen == ["Processing task t1 with model sim"]
    [error] = errors
    assert isinstance(error, TaskFailed)
    assert (str(error), error.task_id) == (report.failure.message, "t1")


async def test_its_owner_looks_on_while_a_handler_answers(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh)
    seen: list[StartedTask] = []
    worker.on_task(plain)
    worker.on_task_start(seen.append)
    async with started(worker):
        line = await run_once(mesh, plain)
        assert (await report_of(line)).WhichOneof("outcome") == "completion"
        line.ack_report()
    assert [(task.id, task.model) for task in seen] == [("t1", "my-own-model")]


async def test_it_declares_what_it_was_told(mesh: ScriptedMesh) -> None:
    worker = DevTeamWorker(
        api_url=mesh.url,
        worker_id="w1",
        queues=["gpu-queue", "default"],
        models=["opus"],
        concurrency=3,
        capabilities={"gpu": True, "gpu_model": "RTX 5080", "ram_gb": 24, "cpu_cores": 8},
        labels={"disk": "ssd"},
        data_sources=["wiki"],
        weight=4,
    )
    ready: list[Ready] = []
    worker.on_ready(ready.append)
    worker.on_task(plain)
    async with started(worker):
        spec = (await mesh.registry.registered()).spec
        await mesh.router.attached()
    assert spec.worker_id == "w1"
    assert list(spec.queues) == [
        registry_pb2.WorkerQueue(name="gpu-queue", concurrency=3, models=["opus"]),
        registry_pb2.WorkerQueue(name="default", concurrency=3, models=["opus"]),
    ]
    assert spec.concurrency == 3
    assert spec.resources == registry_pb2.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24, cpu_cores=8)
    assert (dict(spec.labels), list(spec.data_sources), spec.weight) == ({"disk": "ssd"}, ["wiki"], 4.0)
    assert [(said.declaration.worker_id, said.simulated) for said in ready] == [("w1", False)]


async def test_it_says_on_its_own_that_it_is_there(mesh: ScriptedMesh, capsys: pytest.CaptureFixture[str]) -> None:
    worker = DevTeamWorker(api_url=mesh.url, worker_id="w1", queues=["default"], concurrency=2)
    worker.on_task(plain)
    async with started(worker):
        await mesh.router.attached()
    assert "Worker w1 registered\nListening on queues: default (concurrency: 2)\n" in capsys.readouterr().out


async def test_it_shows_its_key(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh, api_key="dt-key")
    worker.on_task(plain)
    async with started(worker):
        line = await mesh.router.attached()
    assert (line.key, mesh.registry.keys["RegisterWorker"]) == ("Bearer dt-key", "Bearer dt-key")


async def test_it_attaches_wherever_the_registry_sends_it(mesh: ScriptedMesh) -> None:
    """Also while one of the Routers is not there."""
    async with scripted_mesh() as first, scripted_mesh() as second:
        mesh.registry.router_addresses = ["127.0.0.1:1", f"127.0.0.1:{first.port}", second.url]
        worker = a_worker(mesh)
        worker.on_task(plain)
        async with started(worker):
            for router in (first.router, second.router):
                assert (await router.attached()).attach.session_token == "session-1"


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidInput(Violation("spec.worker_id", "ID_FORMAT", "must not be empty")),
        Unauthenticated("the key is not known"),
    ],
)
async def test_a_worker_that_the_registry_refuses_does_not_start(mesh: ScriptedMesh, refusal: Exception) -> None:
    mesh.registry.refusals["RegisterWorker"].append(refusal)
    worker = a_worker(mesh)
    worker.on_task(plain)
    with pytest.raises(type(refusal), match=str(refusal)):
        await asyncio.wait_for(worker.start(), PATIENCE)


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamWorker(capabilities={"gpus": 2, "gpu": True})
    assert [(wrong.field, wrong.message) for wrong in caught.value.violations] == [
        ("capabilities.gpus", "known are gpu, gpu_model, ram_gb, cpu_cores")
    ]


async def test_capabilities_may_be_spelt_as_in_the_worker_file(mesh: ScriptedMesh) -> None:
    worker = a_worker(mesh, capabilities={"gpu": True, "gpuModel": "RTX 5080", "ramGB": 24, "cpuCores": 8})
    worker.on_task(plain)
    async with started(worker):
        spec = (await mesh.registry.registered()).spec
        await mesh.router.attached()
    assert spec.resources == registry_pb2.Resources(gpu=True, gpu_model="RTX 5080", ram_gb=24, cpu_cores=8)


@pytest.mark.parametrize("name", ["local_models", "localModels"])
def test_what_a_worker_finds_out_by_itself_is_refused_in_words(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamWorker(capabilities={name: ["llama3.3:70b"]}, temporal_address="temporal.example:7233")  # type: ignore[arg-type]
    assert [(wrong.field, wrong.message) for wrong in caught.value.violations] == [
        (f"capabilities.{name}", "detected from Ollama; narrow with models="),
        ("temporal_address", "workers never talk to Temporal: leave it out; the mesh at api_url is all they need"),
    ]


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamWorker(worker_id="a b", queues=["ü"], concurrency=-1)
    assert [wrong.field for wrong in caught.value.violations] == [
        "worker.id",
        "worker.queues[0].name",
        "worker.concurrency",
    ]
