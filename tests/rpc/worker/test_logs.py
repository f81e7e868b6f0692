"""The log that a worker leaves on its machine."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

from tests.rpc.worker.machine import ENVIRON, Machine

SECRETS = {"DEVTEAM_API_KEY": "canary-mesh-key", "ANTHROPIC_API_KEY": "canary-provider-key"}


async def test_a_worker_keeps_its_log_and_its_owner_reads_it(machine: Machine) -> None:
    log = machine.folder / "workers" / "w1.log"
    async with machine.worker(level="DEBUG", **SECRETS) as worker:
        await machine.is_ready()
        code, out, err = await machine.command("logs", "-n", "100")
        assert (code, err) == (0, "")
        assert "INFO     worker registered worker_id=w1\n" in out
        assert (await machine.command("logs", "-n", "1"))[1].count("\n") == 1
        worker.terminate()
        _, said = await worker.communicate()
    kept = log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["event"] for line in kept.splitlines()][-1] in said.decode()
    assert "draining" in (await machine.command("logs"))[1]
    assert "canary" not in kept + said.decode()


async def test_who_follows_a_log_sees_what_is_written_next(machine: Machine) -> None:
    async with machine.worker(level="INFO"):
        line = await machine.is_ready()
        follower = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "devteam_worker", "logs", "--follow", "-n", "0"),
            env={**ENVIRON, "DEVTEAM_DATA": str(machine.folder)},
            stdout=PIPE,
        )
        assert follower.stdout is not None
        reading = asyncio.ensure_future(follower.stdout.readline())
        while not reading.done():
            # Each break is a line; whether the follower is there already, nobody can say.
            line.cut()
            line = await machine.mesh.router.attached()
        assert b"INFO" in reading.result()
        follower.send_signal(2)
        assert await follower.wait() == 0
