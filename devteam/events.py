"""What a watch tells, in the order it happened.

Text counts only as long as its attempt is the current one: after `AttemptStarted`, what older attempts of that task
said is void.
"""

from dataclasses import dataclass
from typing import TypeAlias

from devteam.models import Plan, Task


@dataclass(frozen=True, slots=True)
class TextToken:
    """Part of the answer: the output of a task is the concatenation of its text tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingToken:
    """Part of what the model thinks; no part of the output."""

    text: str


@dataclass(frozen=True, slots=True)
class ProgressToken:
    """What is done before or beside the answer, for people; not part of the output."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to call a tool; `arguments` is JSON."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the tool answered."""

    call_id: str
    content: str
    is_error: bool = False
    source: str = ""


Token: TypeAlias = TextToken | ThinkingToken | ProgressToken | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """The task as it is now; without its output."""

    task: Task


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """The plan as it is now, with all its tasks."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A new attempt begins; forget what older ones said."""

    task_id: str
    step_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Consecutive tokens of one attempt; the first has the place `first_seq`, counted from 1."""

    task_id: str
    step_id: str
    attempt: int
    first_seq: int
    tokens: tuple[Token, ...]

    @property
    def last_seq(self) -> int:
        """The place of the last token."""
        return self.first_seq + len(self.tokens) - 1

    @property
    def text(self) -> str:
        """What these tokens add to the output."""
        return "".join(token.text for token in self.tokens if isinstance(token, TextToken))


@dataclass(frozen=True, slots=True)
class Gap:
    """Tokens that can no longer be had, both ends included. The stream goes on after them."""

    task_id: str
    step_id: str
    attempt: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection broke. The watch goes on by itself once the mesh is back, without a gap; nothing is to be done."""

    reason: str


Event: TypeAlias = TaskChanged | PlanChanged | AttemptStarted | Tokens | Gap | Interrupted
