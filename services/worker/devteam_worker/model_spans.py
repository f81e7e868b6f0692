"""Spans of what a run asks: one for each turn of its model, one for each call of a tool."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from devteam.mesh import names
from devteam.mesh.clock import Clock
from devteam_worker import content
from devteam_worker.providers.base import Ended, Progress, Prompt, ProviderError, Token, ToolCall, ToolResult
from devteam_worker.tools.base import Tool

_tracer = trace.get_tracer(names.SCOPE)


class ModelSpans:
    """Makes them, within the span of the run. `with_content`: with what was asked and said, see `content`."""

    def __init__(self, clock: Clock, *, with_content: bool = False) -> None:
        self._clock = clock
        self._with_content = with_content

    @contextmanager
    def chat(self, provider: str, prompt: Prompt) -> Iterator["ChatSpan"]:
        """The body asks for one turn. What it yields has to be told what is heard."""
        attributes = {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: provider,
            names.GEN_AI_REQUEST_MODEL: prompt.model,
        }
        with _started(f"{names.SPAN_CHAT} {prompt.model}", SpanKind.CLIENT, attributes) as span:
            if self._with_content:
                span.set_attribute(names.GEN_AI_INPUT_MESSAGES, content.asked(prompt))
                if prompt.system_prompt:
                    span.set_attribute(names.GEN_AI_SYSTEM_INSTRUCTIONS, content.instructions(prompt))
            try:
                yield ChatSpan(span, self._clock, content.Saying() if self._with_content else None)
            except ProviderError as error:
                _fail(span, error.reason)
                raise

    @contextmanager
    def tool(self, call: ToolCall, tool: Tool | None) -> Iterator["ToolSpan"]:
        """The body carries out a call of this tool; None: there is no such tool."""
        # A name that there is no tool of is the model's own text.
        name = tool.name if tool is not None else "unknown"
        attributes = {
            names.GEN_AI_OPERATION: "execute_tool",
            names.GEN_AI_TOOL_NAME: name,
            names.GEN_AI_TOOL_CALL_ID: call.call_id,
            names.TOOL_SOURCE: tool.source if tool is not None else "",
        }
        with _started(f"{names.SPAN_TOOL} {name}", SpanKind.INTERNAL, attributes) as span:
            if self._with_content:
                span.set_attribute(names.GEN_AI_TOOL_ARGUMENTS, content.called_with(call.arguments))
            yield ToolSpan(span, with_content=self._with_content)


class ChatSpan:
    """One turn."""

    def __init__(self, span: Span, clock: Clock, saying: content.Saying | None) -> None:
        self._span = span
        self._clock = clock
        self._saying = saying
        self._asked_at = clock.monotonic()
        self._first_heard = False

    def hear(self, token: Token) -> None:
        """The model says something. Only the first of it leaves a mark of its own."""
        if not self._first_heard and not isinstance(token, Progress):
            self._first_heard = True
            self._span.add_event(names.EVENT_FIRST_TOKEN)
            self._span.set_attribute(names.GEN_AI_FIRST_CHUNK, self._clock.monotonic() - self._asked_at)
        if self._saying is not None:
            self._saying.add(token)

    def ended(self, ended: Ended) -> None:
        """The model has stopped."""
        usage = ended.usage
        self._span.set_attribute(names.GEN_AI_RESPONSE_MODEL, ended.model)
        self._span.set_attribute(names.GEN_AI_FINISH_REASONS, [ended.stop_reason])
        self._span.set_attribute(names.GEN_AI_INPUT_TOKENS, usage.input_tokens)
        self._span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, usage.output_tokens)
        if usage.cache_read_tokens:
            self._span.set_attribute(names.GEN_AI_CACHE_READ_TOKENS, usage.cache_read_tokens)
        if usage.cache_write_tokens:
            self._span.set_attribute(names.GEN_AI_CACHE_CREATION_TOKENS, usage.cache_write_tokens)
        if self._saying is not None:
            self._span.set_attribute(names.GEN_AI_OUTPUT_MESSAGES, self._saying.told(ended.stop_reason))


class ToolSpan:
    """One call."""

    def __init__(self, span: Span, *, with_content: bool) -> None:
        self._span = span
        self._with_content = with_content

    def answered(self, result: ToolResult) -> None:
        """The tool has answered."""
        if result.is_error:
            _fail(self._span, "tool_error")
        if self._with_content:
            self._span.set_attribute(names.GEN_AI_TOOL_RESULT, content.cut(result.content))


@contextmanager
def _started(name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> Iterator[Span]:
    attributes = {**_whose(trace.get_current_span()), **attributes}
    # What is raised may quote what was asked or said: it is for the log and for the task, not for the span.
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except ProviderError:
            raise
        except Exception as error:
            _fail(span, type(error).__name__)
            raise


def _whose(run: Span) -> Mapping[str, AttributeValue]:
    """The attempt that the run's span names: it is told at its end, and never where its process is killed before."""
    told = (run.attributes if isinstance(run, ReadableSpan) else None) or {}
    return {name: told[name] for name in (names.TASK_ID, names.ATTEMPT) if name in told}


def _fail(span: Span, reason: str) -> None:
    span.set_attribute(names.ERROR_TYPE, reason)
    span.set_status(Status(StatusCode.ERROR, reason))
