"""A worker that runs your own function instead of a model. Start it, then

devteam task run --model any --queue shout "hello there"
"""

import asyncio
from collections.abc import Iterator

from devteam_worker import DevTeamWorker, Task

worker = DevTeamWorker(worker_id="shouter", queues=["shout"], concurrency=4)


@worker.on_task
def shout(task: Task) -> Iterator[str]:
    """What is yielded is streamed. A plain function runs in a thread: it may block, the worker keeps its beats."""
    for word in task.prompt.split():
        yield f"{word.upper()} "


@worker.on_error
def complain(error: Exception) -> None:
    print(f"worker error: {error}")


if __name__ == "__main__":
    asyncio.run(worker.start())
