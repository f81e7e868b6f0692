"""An agent whose runs do what a test tells them to."""

import asyncio

from devteam_worker.domain import Assignment, AttemptId, Completed, Emit, Outcome, Spend
from devteam_worker.providers.base import Prompt, Text, Usage

PATIENCE = 60.0


class Play:
    """One run, carried out by a test. `stopped` is set once it is cancelled; it closes when `may_close` is set."""

    def __init__(self, assignment: Assignment, emit: Emit) -> None:
        self.assignment = assignment
        # What it says, when it is stopped, that it has taken.
        self.taken = Usage()
        self._emit = emit
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.stopped = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_close.set()

    async def say(self, *words: str) -> None:
        """Hand out tokens of text."""
        for word in words:
            await self._emit(Text(word))

    def end(self, outcome: Outcome | None = None) -> None:
        """Come to an end: well, unless said otherwise."""
        self.ended.set_result(outcome or Completed("sim", "sim", "end_turn"))

    def break_down(self, error: Exception) -> None:
        """Raise what no agent should."""
        self.ended.set_exception(error)

    async def has_stopped(self) -> None:
        """Wait until the run was cancelled."""
        async with asyncio.timeout(PATIENCE):
            await self.stopped.wait()


class ScriptedAgent:
    """Hands every run to the test, in the order of their start."""

    def __init__(self) -> None:
        self._plays: asyncio.Queue[Play] = asyncio.Queue()

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend = lambda _: None) -> Outcome:
        play = Play(assignment, emit)
        self._plays.put_nowait(play)
        try:
            return await play.ended
        except asyncio.CancelledError:
            play.stopped.set()
            await play.may_close.wait()
            raise
        finally:
            spend(play.taken)

    async def started(self) -> Play:
        """The next run that has started."""
        async with asyncio.timeout(PATIENCE):
            return await self._plays.get()


def an_assignment(
    task_id: str = "t1",
    attempt: int = 1,
    *,
    queue: str = "default",
    model: str = "sim",
    run_timeout: float = 60.0,
    tools: tuple[str, ...] = (),
    max_turns: int = 0,
) -> Assignment:
    """A run as the Router gives it."""
    prompt = Prompt(model, "What is new?", "You are brief.", tools=tools, options={"seed": 7.0}, max_turns=max_turns)
    return Assignment(AttemptId(task_id, attempt), "p1", "s1", queue, prompt, run_timeout)
