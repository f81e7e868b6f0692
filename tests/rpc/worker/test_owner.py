"""What the owner of a machine asks of a worker on it: real processes, and a mesh that a test plays."""

import asyncio
import signal

from devteam_cli.ports import free_port

from tests.fakes.mesh_server import ENDLESS
from tests.fakes.scrape import scraped_from
from tests.rpc.worker.machine import Machine, report_of


async def test_a_restarted_worker_hands_back_its_run_and_comes_back_with_new_settings(machine: Machine) -> None:
    # The deadline is what `restart` has to see the worker drain: it looks ten times a second.
    async with machine.worker("--drain-deadline", "5") as worker:
        first = await machine.mesh.registry.registrations.get()
        line = await machine.is_ready()
        line.assign(options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"

        (machine.folder / "worker.yaml").write_text("worker: {concurrency: 8}\n")
        restarting = asyncio.ensure_future(machine.command("restart"))
        assert (await report_of(line)).WhichOneof("outcome") == "hand_back"
        line.ack_report()
        assert (await machine.mesh.registry.farewells.get()).instance_id == first.instance_id
        second = await machine.mesh.registry.registrations.get()
        await machine.is_ready()

        code, out, err = await restarting
        assert (code, out) == (0, "Worker w1 restarted (concurrency: 8)\n")
        assert err.splitlines()[0] == "w1 drains: 1 runs end or are handed back within 5 s"
        assert first.spec.concurrency == 4
        assert second.spec.concurrency == 8
        assert second.instance_id != first.instance_id
        assert machine.said()["pid"] == worker.pid

        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0
        assert not machine.state.exists()


async def test_errors_of_a_workers_providers_are_counted_from_its_start(machine: Machine) -> None:
    port = free_port()
    async with machine.worker("--metrics-port", str(port)):
        await machine.is_ready()
        scrape = await asyncio.to_thread(scraped_from, f"http://127.0.0.1:{port}/metrics")
    assert scrape.value("devteam_provider_errors_total", provider="sim", reason="INVALID_REQUEST") == 0


async def test_a_worker_goes_on_when_its_new_settings_are_wrong(machine: Machine) -> None:
    file = machine.folder / "worker.yaml"
    file.write_text("worker: {concurrency: 4}\n")
    async with machine.worker() as worker:
        await machine.is_ready()
        file.write_text("worker: {concurrency: many}\n")
        code, _, err = await machine.command("restart", "--id", "w1")
        assert code == 1
        assert err.startswith("error: worker w1 goes on with its old settings: worker.concurrency: must be a valid int")
        code, out, _ = await machine.command("status")
        assert (code, out.split()[:4]) == (0, ["w1", "ready", "pid", str(worker.pid)])


async def test_a_worker_goes_on_when_its_new_provider_cannot_be_had(machine: Machine) -> None:
    file = machine.folder / "worker.yaml"
    file.write_text("worker: {provider: sim}\n")
    keyless = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    async with machine.worker(provider="", **keyless) as worker:
        await machine.is_ready()
        wrong = "worker w1 goes on with its old settings: worker.provider: is openai, but neither OPENAI_API_KEY nor"
        for command in (("config", "set", "provider", "openai"), ("restart",)):
            code, _, err = await machine.command(*command, **keyless)
            assert (code, wrong in err) == (1, True)
        assert worker.returncode is None
        code, out, _ = await machine.command("status")
        assert (code, out.split()[:2]) == (0, ["w1", "ready"])


async def test_a_worker_that_cannot_start_says_why_in_its_log(machine: Machine) -> None:
    keyless = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    async with machine.worker(provider="openai", **keyless) as worker:
        _, err = await worker.communicate()
        assert worker.returncode == 78
        assert b"error: worker.provider: is openai, but neither" in err
    code, out, _ = await machine.command("logs")
    assert (code, "the worker ends" in out, "is openai, but neither OPENAI_API_KEY" in out) == (0, True, True)


async def test_a_worker_that_is_stopped_drains_and_is_gone(machine: Machine) -> None:
    async with machine.worker() as worker:
        await machine.is_ready()
        code, out, _ = await machine.command("stop")
        assert (code, out) == (0, "Worker w1 stopped\n")
        assert (await machine.mesh.registry.farewells.get()).worker_id == "w1"
        assert await worker.wait() == 0
    for command in ("stop", "restart", "status"):
        code, _, err = await machine.command(command)
        assert code == 1
        assert err.startswith("error: no worker runs on this machine")


async def test_a_worker_is_ready_from_when_it_is_registered_until_it_drains(machine: Machine) -> None:
    """A cluster asks for it, so that a rollout of workers that cannot reach the mesh stops."""
    (machine.folder / "worker.yaml").write_text("worker: {mcpServers: {mute: {command: sleep, args: ['600']}}}\n")
    async with machine.worker() as worker:
        await machine.says(phase="starting")
        code, out, err = await machine.command("status", "--ready")
        assert (code, out.split()[:2]) == (1, ["w1", "starting"])
        assert err == "error: worker w1 is starting, and takes no work\n"
        worker.kill()
        await worker.wait()
    (machine.folder / "worker.yaml").unlink()
    async with machine.worker() as worker:
        line = await machine.is_ready()
        assert (await machine.command("status", "--ready"))[0] == 0
        line.assign(options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        worker.send_signal(signal.SIGTERM)
        await machine.says(phase="stopping")
        code, _, err = await machine.command("status", "--ready")
        assert (code, err) == (1, "error: worker w1 is stopping, and takes no work\n")
    assert (await machine.command("status", "--ready"))[0] == 1


async def test_a_stop_turns_a_restart_into_an_orderly_end(machine: Machine) -> None:
    async with machine.worker("--drain-deadline", "10") as worker:
        line = await machine.is_ready()
        line.assign(options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        restarting = asyncio.ensure_future(machine.command("restart"))
        await machine.says(phase="stopping", again=True)
        stopping = asyncio.ensure_future(machine.command("stop"))
        await machine.says(phase="stopping", again=False)
        line.cancel()
        assert (await report_of(line)).WhichOneof("outcome") == "cancellation"
        line.ack_report()
        assert (await machine.mesh.registry.farewells.get()).worker_id == "w1"
        assert await worker.wait() == 0
        assert (await stopping)[:2] == (0, "Worker w1 stopped\n")
        code, _, err = await restarting
        assert (code, "ended and did not come back" in err) == (1, True)
        assert not machine.state.exists()


async def test_a_second_signal_ends_also_what_drained_to_begin_anew(machine: Machine) -> None:
    async with machine.worker() as worker:
        line = await machine.is_ready()
        line.assign(options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        worker.send_signal(signal.SIGUSR1)
        await machine.says(phase="stopping", again=True)
        worker.send_signal(signal.SIGTERM)
        await machine.says(phase="stopping", again=False)
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == -signal.SIGTERM


async def test_a_worker_that_waits_for_a_tool_can_be_stopped(machine: Machine) -> None:
    """One that never answers is given half a minute; who wants the worker to end need not wait for it."""
    (machine.folder / "worker.yaml").write_text("worker: {mcpServers: {mute: {command: sleep, args: ['600']}}}\n")
    async with machine.worker() as worker:
        await machine.says(phase="starting")
        async with asyncio.timeout(20):
            code, out, err = await machine.command("stop")
        assert (code, out) == (0, "Worker w1 stopped\n")
        assert err == "w1 is starting: it closes what it has begun, and ends\n"
        assert await worker.wait() == 0
        assert machine.mesh.registry.registrations.empty()
    assert not machine.state.exists()


async def test_a_worker_of_the_mesh_leaves_the_file_to_the_owners_own(machine: Machine) -> None:
    file = machine.folder / "worker.yaml"
    file.write_text("worker: {concurrency: 8}\n")
    async with machine.worker("--of-mesh"):
        await machine.is_ready()
        assert (await machine.mesh.registry.registrations.get()).spec.concurrency == 4
        code, _, err = await machine.command("stop")
        assert (code, "but the mesh's own, which --id names: w1" in err) == (1, True)
        code, out, err = await machine.command("config", "set", "concurrency", "9")
        assert (code, out, err) == (0, f"{file}: concurrency is 9\n", "")
        code, _, err = await machine.command("config", "set", "concurrency", "7", "--id", "w1")
        assert (code, err) == (0, "worker w1 is the mesh's own, and reads no file\n")
        assert (await machine.command("status"))[1].startswith("w1  ready")
        assert (await machine.command("stop", "--id", "w1"))[0] == 0


async def test_a_second_worker_of_the_same_id_is_refused_while_the_first_lives(machine: Machine) -> None:
    async with machine.worker() as first:
        await machine.is_ready()
        async with machine.worker() as second:
            _, err = await second.communicate()
            assert second.returncode == 78
            assert err.decode().startswith(f"error: worker w1 runs on this machine already, as process {first.pid}")
        assert machine.state.exists()
        first.kill()
        await first.wait()
        async with machine.worker() as third:
            await machine.says(pid=third.pid)
            await machine.is_ready()


async def test_a_second_signal_ends_a_drain_at_once(machine: Machine) -> None:
    async with machine.worker() as worker:
        line = await machine.is_ready()
        line.assign(options=ENDLESS)
        assert (await line.hears()).WhichOneof("item") == "accepted"
        worker.send_signal(signal.SIGTERM)
        await machine.says(phase="stopping")
        worker.send_signal(signal.SIGINT)
        assert await worker.wait() == -signal.SIGINT
