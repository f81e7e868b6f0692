"""What is written on the command line, as values."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from devteam.plans import duration
from devteam_cli.completion import plan_ids, task_ids

TaskId = Annotated[str, typer.Argument(help="The id of a task.", metavar="TASK", autocompletion=task_ids)]
PlanId = Annotated[str, typer.Argument(help="The id of a plan.", metavar="PLAN", autocompletion=plan_ids)]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Show each hop of the cancel, until the end.")]
CancelOnExit = Annotated[bool, typer.Option(help="Cancel it when this command is broken off.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")]


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE, as often as given. Raises typer.BadParameter."""
    read = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not of the form KEY=VALUE", param_hint=option)
        read[key] = value
    return read


def json_pairs(option: str, given: Sequence[str]) -> dict[str, object]:
    """KEY=VALUE, where a value that is JSON is taken as such (8192, true, [1, 2]) and all else as text."""
    return {key: _json_or_text(value) for key, value in pairs(option, given).items()}


def length_of_time(text: str) -> timedelta:
    """A length of time such as 90s or 15m. Raises typer.BadParameter."""
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def prompt_or_stdin(prompt: str) -> str:
    """The prompt; "-" stands for all of stdin. Raises typer.BadParameter when there is nothing."""
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise typer.BadParameter("the prompt is empty", param_hint="PROMPT")
    return text


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
