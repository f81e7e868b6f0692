"""Workers that say what they do: `python -m tests.chaos.agent WORKER_ID,... QUEUE CONCURRENCY MAILBOX`."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Sequence

from devteam_worker import DevTeamWorker
from devteam_worker.owner_task import Task

from tests.chaos.speech import word


def main(worker_ids: str, queue: str, concurrency: str, mailbox: str) -> None:
    """Work until stopped; several of them, until killed."""
    letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    letters.connect(mailbox)
    workers = [_agent(worker_id, queue, int(concurrency), letters) for worker_id in worker_ids.split(",")]
    asyncio.run(_work(workers))


def _agent(worker_id: str, queue: str, slots: int, letters: socket.socket) -> DevTeamWorker:
    def note(what: str, task: Task, **facts: object) -> None:
        about = {"worker": worker_id, "pid": os.getpid(), "task": task.id, "attempt": task.attempt}
        record = {"at": time.monotonic(), "what": what, **about, **facts}
        letters.send(json.dumps(record).encode())

    worker = DevTeamWorker(worker_id=worker_id, queues=[queue], concurrency=slots)

    @worker.on_task
    async def speak(task: Task) -> None:
        wanted = json.loads(task.prompt.split("\n")[0])
        note("begun", task, slots=slots)
        said = 0
        try:
            for said in range(1, wanted["tokens"] + 1):
                await task.emit(word(task.id, task.attempt, said))
                if wanted["pause"]:
                    await asyncio.sleep(wanted["pause"])
        finally:
            note("left", task, said=said)

    return worker


async def _work(workers: Sequence[DevTeamWorker]) -> None:
    # Signals are for one worker: of several, each would take them away from the one before.
    alone = len(workers) == 1
    await asyncio.gather(*(worker.start(handle_signals=alone) for worker in workers))


if __name__ == "__main__":
    main(*sys.argv[1:])
