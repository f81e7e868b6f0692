"""What a fake mesh asks of a test: an answer to a prompt."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from re import finditer
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, its templates rendered."""

    task_id: str
    step_id: str
    attempt: int
    prompt: str
    system_prompt: str
    model: str
    queue: str
    tools: tuple[str, ...]


class WorkerLost(Exception):
    """Raised by an answer: the worker vanishes in the middle of the attempt."""


# A function that returns the whole answer, at once or awaited, or an async generator of its pieces. What it raises
# fails the run.
Answer: TypeAlias = Callable[[Run], str | Awaitable[str] | AsyncIterator[str]]


def echo(run: Run) -> str:
    """Say the prompt again."""
    return run.prompt


async def pieces(answer: Answer, run: Run) -> AsyncIterator[str]:
    """The answer as a model would stream it: word by word, unless the test makes its own pieces."""
    said = answer(run)
    if isinstance(said, AsyncIterator):
        async for piece in said:
            yield piece
        return
    text = said if isinstance(said, str) else await said
    if not text:
        return
    starts = [match.start() for match in finditer(r"\S+", text)]
    for start, end in pairwise([0, *starts[1:], len(text)]):
        yield text[start:end]
