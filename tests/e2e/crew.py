"""Many workers in one process, each with its own identity and streams: `python -m tests.e2e.crew URL COUNT SLOTS`.

Their handler says a word every so often, as many as the prompt asks for, and notes who began what in a file.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from devteam_worker import DevTeamWorker

# Seconds between two words.
PACE = 0.05


def crew_member(url: str, number: int, slots: int, notes: Path) -> DevTeamWorker:
    """A worker that says `word-1 word-2 ...`, as many as its prompt asks for."""
    worker = DevTeamWorker(
        api_url=url, worker_id=f"crew-{number:02}", queues=["crew"], models=["sim"], concurrency=slots
    )
    running = 0

    @worker.on_task
    async def speak(task: Any) -> AsyncGenerator[str, None]:
        nonlocal running
        running += 1
        with notes.open("a") as file:
            file.write(f"{time.monotonic()} {task.id} {task.attempt} crew-{number:02} {running}\n")
        print("Begun", flush=True)  # noqa: T201 - whoever started it waits for this
        try:
            for word in range(1, int(task.prompt) + 1):
                yield f"word-{word} "
                await asyncio.sleep(PACE)
        finally:
            running -= 1

    return worker


async def main(url: str, count: int, slots: int, notes: Path) -> None:
    """Be all of them, until killed."""
    ready = asyncio.Event()
    missing = count

    def one_more(_: object) -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            ready.set()

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            worker = crew_member(url, number, slots, notes)
            worker.on_ready(one_more)
            group.create_task(worker.start(handle_signals=False))
        await ready.wait()
        print("Ready", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
