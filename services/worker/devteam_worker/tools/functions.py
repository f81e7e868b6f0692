"""Tools that are the owner's own Python functions."""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from devteam_worker.elsewhere import OwnersLoop, begin_in_thread
from devteam_worker.failures import Fatal, RateLimited, Retryable
from devteam_worker.tools.base import Tool, ToolError

Function = Callable[..., Any]

_SOURCE = "function"


def function_tool(function: Function, loop: OwnersLoop, *, name: str = "") -> Tool:
    """A tool of a function: its name, its docstring, and its parameters with their annotations.

    Coroutine functions run in the owner's loop, others in a thread of their own; whoever waits for one no longer leaves
    it at work. Raises TypeError for parameters that a model cannot name, and for a generator.
    """
    parameters = _parameters(function)

    async def carry_out(arguments: Mapping[str, object]) -> str:
        given = _given(parameters, arguments)
        try:
            return await _called(function, given, loop)
        except (Retryable, Fatal, RateLimited) as error:
            raise ToolError(str(error)) from None

    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__name__} yields: a tool returns its answer")
    schema = parameters.model_json_schema()
    schema.pop("title", None)
    return Tool(name or function.__name__, inspect.getdoc(function) or "", schema, _SOURCE, carry_out)


def _parameters(function: Function) -> type[BaseModel]:
    """A model of what the function takes."""
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise TypeError(f"{function.__name__} takes {parameter}: a tool's parameters must have names")
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        fields[parameter.name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _given(parameters: type[BaseModel], arguments: Mapping[str, object]) -> dict[str, Any]:
    try:
        checked = parameters.model_validate(arguments)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        found = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in wrong)
        raise ToolError(f"Wrong arguments: {'; '.join(found)}.") from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


async def _called(function: Function, given: dict[str, Any], loop: OwnersLoop) -> str:
    if not inspect.iscoroutinefunction(function):
        return await begin_in_thread(lambda: _answer(function, given), f"tool {function.__name__}")
    work = loop.begin(_awaited_answer(function, given))
    try:
        return await work.outcome()
    except asyncio.CancelledError:
        work.cancel()
        raise


def _answer(function: Function, given: dict[str, Any]) -> str:
    """What it says, put into words where it runs: that may be work, too."""
    try:
        return _text(function(**given))
    except (SystemExit, KeyboardInterrupt):
        # Past this place it would end the worker.
        raise ToolError("The tool asked to exit.") from None


async def _awaited_answer(function: Function, given: dict[str, Any]) -> str:
    try:
        return _text(await function(**given))
    except (SystemExit, KeyboardInterrupt):
        raise ToolError("The tool asked to exit.") from None


def _text(answer: object) -> str:
    if answer is None:
        return "done"
    if isinstance(answer, str):
        return answer
    try:
        return json.dumps(to_jsonable_python(answer), ensure_ascii=False)
    except PydanticSerializationError:
        raise ToolError("The tool answered with something that is neither text nor JSON.") from None
