"""A worker that says what it does: `python -m tests.chaos.agent WORKER_ID QUEUE CONCURRENCY MAILBOX`."""

import asyncio
import json
import os
import socket
import sys
import time

from devteam_worker import DevTeamWorker
from devteam_worker.handlers import Task

from tests.chaos.speech import word


def main(worker_id: str, queue: str, concurrency: str, mailbox: str) -> None:
    """Work until stopped."""
    letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def note(what: str, task: Task, **facts: object) -> None:
        about = {"worker": worker_id, "pid": os.getpid(), "task": task.id, "attempt": task.attempt}
        record = {"at": time.monotonic(), "what": what, **about, **facts}
        letters.sendto(json.dumps(record).encode(), mailbox)

    worker = DevTeamWorker(worker_id=worker_id, queues=[queue], concurrency=int(concurrency))

    @worker.on_task
    async def speak(task: Task) -> None:
        wanted = json.loads(task.prompt.split("\n")[0])
        note("begun", task, slots=int(concurrency))
        said = 0
        try:
            for said in range(1, wanted["tokens"] + 1):
                await task.emit(word(task.id, task.attempt, said))
                if wanted["pause"]:
                    await asyncio.sleep(wanted["pause"])
        finally:
            note("left", task, said=said)

    asyncio.run(worker.start())


if __name__ == "__main__":
    main(*sys.argv[1:])
