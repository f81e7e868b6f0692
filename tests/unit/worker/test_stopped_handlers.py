import asyncio
import sys
import threading
import time

import pytest
from devteam_worker.handlers import HandlerAgent
from devteam_worker.owner_task import Task

from tests.fakes.agent_script import PATIENCE, an_assignment
from tests.unit.worker.listener import WELL, Listener, taking


async def stopped(agent: HandlerAgent, begun: threading.Event, emit: Listener) -> None:
    """Start a run and stop it once its handler has begun."""
    running = asyncio.create_task(agent.run(an_assignment(), emit))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_coroutine_is_cancelled_with_its_run(emit: Listener) -> None:
    begun, closed = threading.Event(), threading.Event()

    async def handle(task: Task) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.set()

    async with taking(handle) as agent:
        await stopped(agent, begun, emit)
    assert await asyncio.to_thread(closed.wait, PATIENCE)


async def test_a_plain_function_can_see_that_its_run_was_stopped(emit: Listener) -> None:
    begun, seen = threading.Event(), threading.Event()

    def handle(task: Task) -> None:
        assert not task.cancelled
        begun.set()
        while not task.cancelled:
            time.sleep(0.001)
        seen.set()

    async with taking(handle) as agent:
        await stopped(agent, begun, emit)
        assert await asyncio.to_thread(seen.wait, PATIENCE)


@pytest.mark.parametrize("kind", ["coroutine", "plain"])
async def test_a_run_that_was_stopped_ends_once_its_handler_has(emit: Listener, kind: str) -> None:
    """Until then it uses what a slot stands for."""
    begun, told, gate, left = (threading.Event() for _ in range(4))

    def plain(task: Task) -> None:
        begun.set()
        while not task.cancelled:
            time.sleep(0.001)
        told.set()
        gate.wait(PATIENCE)
        left.set()

    async def coroutine(task: Task) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.set()
            await asyncio.to_thread(gate.wait, PATIENCE)
            left.set()

    async with taking({"plain": plain, "coroutine": coroutine}[kind]) as agent:
        running = asyncio.create_task(agent.run(an_assignment(), emit))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        running.cancel()
        assert await asyncio.to_thread(told.wait, PATIENCE)
        await asyncio.sleep(0)
        assert not running.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert left.is_set()


async def test_a_second_cancellation_does_not_wait_for_the_handler(emit: Listener) -> None:
    """The worker's process ends."""
    begun, told, gate = (threading.Event() for _ in range(3))

    def handle(task: Task) -> None:
        begun.set()
        while not task.cancelled:
            time.sleep(0.001)
        told.set()
        gate.wait(PATIENCE)

    async with taking(handle) as agent:
        running = asyncio.create_task(agent.run(an_assignment(), emit))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        running.cancel()
        assert await asyncio.to_thread(told.wait, PATIENCE)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        gate.set()


async def test_the_next_run_does_not_suffer_from_one_that_was_stopped(emit: Listener) -> None:
    begun = threading.Event()

    async def handle(task: Task) -> str:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return "well"

    async with taking(handle) as agent, asyncio.timeout(PATIENCE):
        await stopped(agent, begun, emit)
        assert await agent.run(an_assignment(), emit) == WELL


@pytest.mark.parametrize("blocks", ["time.sleep(600)", "await asyncio.sleep(600)"])
async def test_a_handler_that_never_returns_does_not_keep_the_process(blocks: str) -> None:
    """Neither a function in its thread, nor a coroutine in the handlers' loop."""
    keyword = "async def" if blocks.startswith("await") else "def"
    program = f"""
import asyncio, time
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.handlers import HandlerAgent
from tests.fakes.agent_script import an_assignment

{keyword} handle(task):
    {blocks}

async def main():
    loop = OwnersLoop()
    agent = HandlerAgent(handle, loop)
    loop.start()
    running = asyncio.create_task(agent.run(an_assignment(), None))
    await asyncio.sleep(0.05)
    running.cancel()
    loop.stop()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
