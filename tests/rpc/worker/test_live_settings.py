"""Settings that change, and drains that begin, while a worker works."""

import signal

from devteam.mesh.errors import InvalidInput, Unavailable, Violation
from tests.fakes.mesh_server import ENDLESS, Line
from tests.rpc.worker.machine import Machine, report_of


async def assigned(line: Line, task_id: str) -> str:
    """What a worker answers when it is given an endless run; what its models say is left out."""
    line.assign(task_id, options=ENDLESS)
    while (answer := (await line.hears()).WhichOneof("item")) not in {"accepted", "rejected"}:
        pass
    return str(answer)


async def test_more_slots_count_at_once_and_the_registry_hears_of_them(machine: Machine) -> None:
    (machine.folder / "worker.yaml").write_text("worker:\n  concurrency: 1  # for now\n  labels: {team: a}\n")
    async with machine.worker():
        first = await machine.mesh.registry.registrations.get()
        line = await machine.is_ready()
        assert [await assigned(line, "t1"), await assigned(line, "t2")] == ["accepted", "rejected"]

        code, out, err = await machine.command("config", "set", "concurrency", "2")
        assert (code, err) == (0, "worker w1 has taken it over (2 slots)\n")
        assert out == f"{machine.folder / 'worker.yaml'}: concurrency is 2\n"
        second = await machine.mesh.registry.registrations.get()
        assert (first.spec.concurrency, second.spec.concurrency) == (1, 2)
        assert [queue.concurrency for queue in second.spec.queues] == [2]
        assert second.instance_id == first.instance_id
        assert [await assigned(line, "t3"), await assigned(line, "t4")] == ["accepted", "rejected"]
        assert (await machine.command("status"))[1].endswith("2 slots\n")
        assert (machine.folder / "worker.yaml").read_text().startswith("worker:\n  concurrency: 2  # for now\n")

        code, _, err = await machine.command("config", "set", "labels.team", "b")
        assert (code, err) == (0, "worker w1 has taken it over (2 slots)\n")
        assert (await machine.mesh.registry.registrations.get()).spec.labels == {"team": "b"}


async def test_what_waits_for_a_new_start_says_so(machine: Machine) -> None:
    async with machine.worker("--weight", "2"):
        await machine.mesh.registry.registrations.get()
        await machine.is_ready()
        code, _, err = await machine.command("config", "set", "maxTurns", "3")
        waits = "worker w1 works on as before: it counts after `devteam-worker restart --id w1`"
        assert (code, err) == (0, f"{waits}\n")
        code, _, err = await machine.command("config", "set", "queues", "[{name: other, concurrency: 4}]")
        assert (code, err) == (0, f"{waits} (the concurrency of its queues would count at once)\n")
        code, _, err = await machine.command("config", "set", "weight", "3")
        assert (code, err) == (0, "worker w1 was started with --weight, which wins over the file\n")
        code, _, err = await machine.command("config", "set", "concurrency", "0")
        assert (code, err.partition(":")[0]) == (0, "nothing changes for worker w1")
        assert machine.mesh.registry.registrations.empty()


async def test_a_timing_that_the_mesh_decides_is_not_said_to_count_later(machine: Machine) -> None:
    (machine.folder / "worker.yaml").write_text("worker: {heartbeat: {intervalMs: 20000}}\n")
    async with machine.worker(level="WARNING"):
        await machine.is_ready()
        code, _, err = await machine.command("config", "set", "heartbeat.intervalMs", "15000")
        assert (code, len(err.splitlines())) == (0, 1)
        assert err.startswith(
            "the mesh's timings hold: its Registry has them from DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S"
        )
        code, out, _ = await machine.command("logs")
    [warned] = [line for line in out.splitlines() if "the mesh's timings hold" in line]
    assert "20000" in warned
    assert "DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S" in warned


async def test_flags_that_win_are_named_however_they_are_written(machine: Machine) -> None:
    given = ("--concurrency=3", "--queue=default", "--model=sim", "--drain-deadline", "5", "--alias=fast=sim")
    async with machine.worker(*given):
        await machine.is_ready()
        for key, value, flags in (
            ("concurrency", "8", "--concurrency, which wins"),
            ("queues", "[{name: default, concurrency: 9}]", "--queue and --model and --concurrency, which win"),
            ("drainDeadlineMs", "1000", "--drain-deadline, which wins"),
            ("aliases.fast", "other", "--alias, which wins"),
        ):
            code, _, err = await machine.command("config", "set", key, value)
            assert (code, err) == (0, f"worker w1 was started with {flags} over the file\n")


async def test_a_wish_of_an_operator_holds_and_is_told(machine: Machine) -> None:
    machine.mesh.registry.interval = 0.05
    async with machine.worker():
        await machine.is_ready()
        machine.mesh.registry.concurrency = 1
        await machine.says(concurrency=1, wished=True)
        assert (await machine.command("status"))[1].endswith("1 slots, as an operator wishes\n")
        code, _, err = await machine.command("config", "set", "concurrency", "6")
        assert (code, err) == (0, "worker w1 has taken it over, but an operator's wish holds (1 slots)\n")
        # As the Registry says it where nobody wishes anything.
        machine.mesh.registry.concurrency = 6
        await machine.says(concurrency=6, wished=False)


async def test_slots_that_no_queue_can_use_are_pointed_out(machine: Machine) -> None:
    file = machine.folder / "worker.yaml"
    file.write_text("worker: {queues: [{name: a, concurrency: 2}, {name: b, concurrency: 1}]}\n")
    code, _, err = await machine.command("config", "set", "concurrency", "8")
    assert (code, err) == (0, f"the queues of {file} take 3 runs in sum, fewer than its concurrency (8)\n")
    assert (await machine.command("config", "set", "concurrency", "3"))[2] == ""


async def test_a_log_level_changes_while_it_works(machine: Machine) -> None:
    file = machine.folder / "worker.yaml"
    file.write_text("worker: {logLevel: ERROR}\n")
    async with machine.worker(level="") as worker:
        await machine.is_ready()
        code, _, err = await machine.command("config", "set", "logLevel", "INFO")
        assert (code, err) == (0, "worker w1 has taken it over (4 slots)\n")
        worker.send_signal(signal.SIGTERM)
        _, logged = await worker.communicate()
        assert b"registered" not in logged
        assert b'"event": "settings taken over"' in logged


async def test_settings_that_the_registry_refuses_change_nothing(machine: Machine) -> None:
    registry = machine.mesh.registry
    async with machine.worker():
        await registry.registrations.get()
        line = await machine.is_ready()
        registry.refusals["RegisterWorker"].append(InvalidInput(Violation("spec.labels", "TEXT", "must be short")))
        code, _, err = await machine.command("config", "set", "concurrency", "1")
        assert code == 1
        assert "goes on with its old settings: the mesh refuses them: spec.labels: must be short" in err
        assert [await assigned(line, "t1"), await assigned(line, "t2")] == ["accepted", "accepted"]
        assert (await registry.beaten()).session_token == "session-1"


async def test_a_registry_that_is_away_hears_of_it_later(machine: Machine) -> None:
    registry = machine.mesh.registry
    registry.interval = 0.05
    async with machine.worker():
        await registry.registrations.get()
        await machine.is_ready()
        registry.refusals["RegisterWorker"] += [Unavailable("not now")] * 5
        code, _, err = await machine.command("config", "set", "concurrency", "9")
        assert (code, err) == (0, "worker w1 has taken it over (9 slots)\n")
        assert (await registry.registrations.get()).spec.concurrency == 9


async def test_a_worker_that_drains_takes_no_more_and_leaves_when_its_runs_have_ended(machine: Machine) -> None:
    async with machine.worker() as worker:
        line = await machine.is_ready()
        assert await assigned(line, "t1") == "accepted"
        code, out, err = await machine.command("drain", "--deadline", "1h")
        assert (code, out) == (0, "Worker w1 drains: 1 runs in hand\n")
        assert err == "w1 drains: 1 runs in hand\n"
        assert await assigned(line, "t2") == "rejected"
        assert worker.returncode is None
        line.cancel("t1")
        assert (await report_of(line)).WhichOneof("outcome") == "cancellation"
        line.ack_report("t1")
        assert (await machine.mesh.registry.farewells.get()).worker_id == "w1"
        assert await worker.wait() == 0
        assert list((machine.folder / "workers").glob("*.wish*")) == []


async def test_a_drain_hands_back_at_its_deadline(machine: Machine) -> None:
    async with machine.worker() as worker:
        line = await machine.is_ready()
        assert await assigned(line, "t1") == "accepted"
        draining = machine.command("drain", "--deadline", "200ms", "--wait")
        code, out, _ = await draining
        assert (code, out) == (0, "Worker w1 has left\n")
        assert (await report_of(line)).WhichOneof("outcome") == "hand_back"
        assert await worker.wait() == 0


async def test_a_drain_may_have_the_deadline_of_the_worker_itself(machine: Machine) -> None:
    async with machine.worker("--drain-deadline", "200ms") as worker:
        line = await machine.is_ready()
        assert await assigned(line, "t1") == "accepted"
        code, out, _ = await machine.command("drain", "--deadline", "own", "--wait")
        assert (code, out) == (0, "Worker w1 has left\n")
        assert (await report_of(line)).WhichOneof("outcome") == "hand_back"
        assert await worker.wait() == 0


async def test_a_stop_ends_a_drain_that_takes_too_long(machine: Machine) -> None:
    async with machine.worker("--drain-deadline", "200ms") as worker:
        line = await machine.is_ready()
        assert await assigned(line, "t1") == "accepted"
        assert (await machine.command("drain"))[0] == 0
        assert (await machine.command("stop"))[:2] == (0, "Worker w1 stopped\n")
        assert await worker.wait() == 0


async def test_there_is_nothing_to_drain_while_a_worker_waits_for_its_mesh(machine: Machine) -> None:
    await machine.mesh.stop()
    async with machine.worker() as worker:
        await machine.says(phase="starting")
        code, _, err = await machine.command("drain")
        said = "error: worker w1 is starting: there is nothing to drain; `devteam-worker stop --id w1` ends it\n"
        assert (code, err) == (1, said)
        code, _, err = await machine.command("config", "set", "concurrency", "2")
        assert (code, err) == (0, "worker w1 is starting: it counts when it starts next\n")
        assert worker.returncode is None
