"""One task as it goes on: the answer on stdout, everything else on stderr."""

import sys

from devteam.events import (
    AttemptStarted,
    Event,
    Gap,
    Interrupted,
    ProgressToken,
    TaskChanged,
    TextToken,
    ThinkingToken,
    Tokens,
    ToolCall,
    ToolResult,
)
from devteam.models import Task, TaskState
from devteam_cli import output
from devteam_cli.explain_view import known_of
from devteam_cli.render import summary
from devteam_cli.stderr import say, whisper
from devteam_cli.text import printable, tail


class TaskView:
    """Shows the events of one task to a person.

    On a terminal the answer appears as it is made. Elsewhere it is written once it is final: what a lost worker had
    said must not end up in front of the answer in somebody's file.
    """

    def __init__(self, *, streams: bool, thinks: bool) -> None:
        self._streams = streams
        self._thinks = thinks
        self._shown = ""
        self._open_line = ""
        self._waited_for = ""
        self._task: Task | None = None

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case TaskChanged():
                self._task = event.task
                self._show_state(event.task)
            case AttemptStarted():
                self._start_again(event)
            case Tokens():
                self._show_tokens(event)
            case Gap():
                self._note(f"tokens {event.first_seq} to {event.last_seq} can no longer be had")
            case Interrupted():
                self._note(f"connection lost ({event.reason}); trying again")

    def remind(self) -> None:
        """Say what a task that has not begun waits for; once it is queued, it says that itself."""
        if self._task and self._task.state is TaskState.PENDING:
            self._note(f"waits: {known_of(self._task).reason}")

    def finish(self, task: Task) -> None:
        """Show the answer, unless it was shown as it was made, and how the task ended."""
        self._end_line()
        if task.output != self._shown:
            output.write(printable(task.output).removesuffix("\n") + "\n")
        self._note(summary(task))

    def _show_state(self, task: Task) -> None:
        if task.state is TaskState.QUEUED and task.wait_reason not in {"", self._waited_for}:
            self._waited_for = task.wait_reason
            self._note(f"waits: {task.wait_reason}")

    def _start_again(self, event: AttemptStarted) -> None:
        self._shown = ""
        if event.attempt > 1:
            self._note(f"attempt {event.attempt}: {event.reason}; the answer starts again")

    def _show_tokens(self, event: Tokens) -> None:
        for token in event.tokens:
            match token:
                case TextToken() if self._streams:
                    self._shown += token.text
                    self._say("answer", printable(token.text))
                case ThinkingToken() if self._thinks:
                    self._say("thinking", printable(token.text))
                case ProgressToken():
                    self._note(tail(token.text, 100))
                case ToolCall():
                    self._note(f"tool {token.name} {tail(token.arguments, 100)}")
                case ToolResult() if token.is_error:
                    self._note(f"tool failed: {tail(token.content, 100)}")

    def _say(self, kind: str, text: str) -> None:
        if not text:
            return
        if self._open_line not in {"", kind}:
            self._end_line()
        if kind == "answer":
            output.write(text)
        else:
            whisper(text, dim=True)
        self._open_line = "" if text.endswith("\n") else kind

    def _note(self, line: str) -> None:
        self._end_line()
        say(line, dim=True)

    def _end_line(self) -> None:
        if self._open_line:
            stream = sys.stdout if self._open_line == "answer" else sys.stderr
            stream.write("\n")
            stream.flush()
        self._open_line = ""
