"""A worker that runs your own code instead of a model: start it, then

devteam task run --model any --queue shout "hello there"
"""

import asyncio

from devteam_worker import DevTeamWorker, Task

worker = DevTeamWorker(worker_id="shouter", queues=["shout"], concurrency=4)


@worker.on_task
async def handle(task: Task) -> None:
    for word in task.prompt.split():
        await task.emit(f"{word.upper()} ")


@worker.on_error
def complain(error: Exception) -> None:
    print(f"worker error: {error}")


if __name__ == "__main__":
    asyncio.run(worker.start())
