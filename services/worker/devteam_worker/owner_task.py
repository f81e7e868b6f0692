"""A task as the owner's code sees it."""

import asyncio
import threading
from dataclasses import dataclass, field

from devteam_worker.domain import Assignment
from devteam_worker.failures import Fatal
from devteam_worker.mouth import Mouth, Saying
from devteam_worker.providers.base import Progress, Text

# Seconds for which it may speak before others of its event loop do: to let them costs more than to say a token.
_TURN = 0.001

_Description = tuple[str, int, str, str, str, str, str, str, tuple[str, ...], dict[str, object]]


@dataclass(slots=True)
class StartedTask:
    """A task of which an attempt begins, as one sees it who only looks on."""

    id: str
    attempt: int
    plan_id: str
    step_id: str
    queue: str
    model: str
    prompt: str
    system_prompt: str
    tools: tuple[str, ...]
    options: dict[str, object]


@dataclass(slots=True)
class Task(StartedTask):
    """A task, as a handler sees it.

    Text that is emitted is part of the answer; progress is for whoever watches. Each waits while too much is under way,
    and raises Fatal for what is no text. The forms that end in `_sync` are for plain functions, which may block.
    """

    _mouth: Mouth
    _stopped: threading.Event = field(default_factory=threading.Event)
    _turn_ends: float = 0.0

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any longer. Code that blocks should look now and then."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Nobody waits any longer."""
        self._stopped.set()

    async def emit(self, text: str) -> None:
        """Stream a piece of the answer."""
        await self._say(Text(_checked(text)))

    async def progress(self, text: str) -> None:
        """Say what is being done."""
        await self._say(Progress(_checked(text)))

    def emit_sync(self, text: str) -> None:
        """As `emit`, from a plain function."""
        self._mouth.say(Text(_checked(text))).result()

    def progress_sync(self, text: str) -> None:
        """As `progress`, from a plain function."""
        self._mouth.say(Progress(_checked(text))).result()

    async def _say(self, saying: Saying) -> None:
        room = self._mouth.say(saying)
        if not room.done():
            await asyncio.wrap_future(room)
        elif (now := asyncio.get_running_loop().time()) > self._turn_ends:
            # However fast it speaks, and whatever it does in between, others of its event loop have their turn.
            await asyncio.sleep(0)
            self._turn_ends = now + _TURN


def described(assignment: Assignment) -> _Description:
    """What is told of a task, in the order of StartedTask's fields."""
    prompt = assignment.prompt
    return (
        assignment.id.task_id,
        assignment.id.number,
        assignment.plan_id,
        assignment.step_id,
        assignment.queue,
        prompt.model,
        prompt.prompt,
        prompt.system_prompt,
        prompt.tools,
        dict(prompt.options),
    )


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise Fatal(f"the handler must answer with text or nothing, not {type(text).__name__}")
    return text
