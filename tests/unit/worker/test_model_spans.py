"""What the turns of a model and its calls of tools leave in a trace."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from devteam_worker import content, model_spans
from devteam_worker.model_spans import ModelSpans
from devteam_worker.providers.base import (
    ALIVE,
    FailureReason,
    Progress,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from devteam_worker.tools.base import Tool
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.trace import SpanKind, StatusCode

from devteam.mesh.spans.values import attributes_from_otlp
from tests.fakes.clock import FakeClock
from tests.fakes.spans import Spans, attributes, events
from tests.unit.worker.test_conversation import CALL, Model, Scene, ended

# In prompts, thoughts, arguments and answers of the scenes: words that no span may hold.
SECRETS = ("What is new?", "You are brief.", "tree", "Let me see", "Hm.")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    return Spans(monkeypatch, model_spans)


def talkative() -> Model:
    return Model([Thinking("Hm."), Text("Let me "), Text("see. "), CALL, ended("said")], [Text("It is one."), ended()])


async def test_each_turn_and_each_call_is_a_span_without_a_word_of_what_was_said(
    clock: FakeClock, spans: Spans
) -> None:
    await Scene(talkative(), clock).run()
    assert spans.names == ["chat sim", "execute_tool docs.search", "chat sim"]
    chat, tool, _ = spans.all
    assert (chat.kind, tool.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL)
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "sim",
        "gen_ai.request.model": "sim",
        "gen_ai.response.model": "sim-1",
        "gen_ai.response.finish_reasons": ("tool_use",),
        "gen_ai.response.time_to_first_chunk": 0.0,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 1,
    }
    assert events(chat) == [("first_token", {})]
    assert attributes(tool) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "docs.search",
        "gen_ai.tool.call.id": "c1",
        "devteam.tool.source": "documents:docs",
    }
    assert_discreet(spans)


async def test_they_name_the_attempt_themselves_as_its_run_may_never_be_told(clock: FakeClock, spans: Spans) -> None:
    """Where its process is killed. Of the run's other attributes they have none."""
    whose: dict[str, str | int] = {"devteam.task.id": "t1", "devteam.task.attempt": 2}
    with spans.tracer.start_as_current_span("run", attributes={**whose, "devteam.queue": "gpu"}):
        await Scene(talkative(), clock).run()
    chat, tool, *_ = map(attributes, spans.all)
    assert [{name: told for name, told in of.items() if name.startswith("devteam.")} for of in (chat, tool)] == [
        whose,
        {**whose, "devteam.tool.source": "documents:docs"},
    ]


async def test_the_first_token_is_timed_from_the_beginning_of_its_own_turn(clock: FakeClock, spans: Spans) -> None:
    """What is no token does not count, be it said before or not at all."""
    asking = ModelSpans(clock)
    with asking.chat("sim", (await asked_once(clock)).asked[0]) as chat:
        clock.advance(1.0)
        chat.hear(ALIVE)
        chat.hear(Progress("loading"))
        clock.advance(0.5)
        chat.hear(Text("one"))
        clock.advance(7.0)
        chat.hear(Text("two"))
    assert attributes(spans.all[-1])["gen_ai.response.time_to_first_chunk"] == 1.5
    assert len(spans.all[-1].events) == 1


async def asked_once(clock: FakeClock) -> Model:
    model = Model([ended()])
    await Scene(model, clock).run()
    return model


async def test_however_many_tokens_a_turn_has_its_span_stays_as_small(clock: FakeClock, spans: Spans) -> None:
    await Scene(Model([*[Text("word ")] * 5_000, ended()]), clock).run()
    (chat,) = spans.all
    assert (len(chat.events), len(attributes(chat))) == (1, 9)


async def test_a_turn_that_failed_says_why_and_not_in_the_providers_words(clock: FakeClock, spans: Spans) -> None:
    refused = ProviderError(FailureReason.REFUSED, "I will not answer: What is new?")
    await Scene(Model([refused]), clock).run()
    (chat,) = spans.all
    assert (attributes(chat)["error.type"], chat.status.status_code) == ("REFUSED", StatusCode.ERROR)
    assert_discreet(spans)


async def test_a_tool_that_fails_or_breaks_does_not_tell_its_span_what_it_was_asked(
    clock: FakeClock, spans: Spans
) -> None:
    async def broken(arguments: Mapping[str, object]) -> str:
        raise ValueError(arguments["word"])

    tool = Tool("docs.search", "Finds words.", {}, "function", broken)
    await Scene(talkative(), clock, tool).run()
    span = spans.one("execute_tool docs.search")
    assert (attributes(span)["error.type"], span.status.status_code) == ("tool_error", StatusCode.ERROR)
    assert_discreet(spans)


async def test_the_name_of_a_tool_that_does_not_exist_is_the_models_own_text(clock: FakeClock, spans: Spans) -> None:
    await Scene(Model([ToolCall("c1", "tree", "{}"), ended("said")], [ended()]), clock).run()
    assert spans.names[1] == "execute_tool unknown"
    assert_discreet(spans)


async def test_a_turn_that_is_stopped_ends_its_span(clock: FakeClock, spans: Spans) -> None:
    class Endless(Model):
        async def stream(self, prompt):  # type: ignore[no-untyped-def]  # as Model's
            yield Text("Once ")
            said.set()
            await asyncio.Event().wait()

    said = asyncio.Event()
    running = asyncio.create_task(Scene(Endless([]), clock).run())
    async with asyncio.timeout(60):
        await said.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert spans.names == ["chat sim"]


def assert_discreet(spans: Spans) -> None:
    """Neither in attributes, nor in events, nor in what went wrong."""
    told = "".join(span.to_json() for span in spans.all)
    assert [secret for secret in SECRETS if secret in told] == []


async def test_whoever_wants_it_has_what_was_asked_and_said(clock: FakeClock, spans: Spans) -> None:
    await Scene(talkative(), clock, spans=ModelSpans(clock, with_content=True)).run()
    first, tool, second = map(attributes, spans.all)
    question = {"role": "user", "parts": [{"type": "text", "content": "What is new?"}]}
    answer = {"type": "tool_call_response", "id": "c1", "response": "tree is a word"}
    assert read(first["gen_ai.system_instructions"]) == [{"type": "text", "content": "You are brief."}]
    assert read(first["gen_ai.input.messages"]) == [question]
    assert read(first["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                {"type": "text", "content": "Let me see. "},
                {"type": "tool_call", "id": "c1", "name": "docs__search", "arguments": '{"word": "tree"}'},
            ],
            "finish_reason": "tool_use",
        }
    ]
    assert tool["gen_ai.tool.call.arguments"] == '{"word": "tree"}'
    assert tool["gen_ai.tool.call.result"] == "tree is a word"
    assert read(second["gen_ai.input.messages"]) == [question, {"role": "tool", "parts": [answer]}]


def read(value: object) -> object:
    return json.loads(str(value))


async def test_content_is_bounded(clock: FakeClock, spans: Spans) -> None:
    """Here: one text in very many tokens, and very many parts."""
    calls = [ToolCall(f"c{n}", "rm", "x" * 10_000) for n in range(50)]
    model = Model([*[Text("word ")] * 5_000, *calls, ended("said")], [ended()])
    await Scene(model, clock, spans=ModelSpans(clock, with_content=True)).run()
    said = str(attributes(spans.all[0])["gen_ai.output.messages"])
    assert 25_000 < len(said.encode()) <= content.MAX_BYTES
    [message] = json.loads(said)
    assert [part["id"] for part in message["parts"]] == [f"c{n}" for n in range(34, 50)]


HARD = ("é", "語", "😀", '"', "\x00", "\ud83d")


@pytest.mark.parametrize("letter", HARD)
def test_content_is_whole_json_after_the_store_of_spans_has_taken_it(letter: str) -> None:
    """However many bytes its letters and their escapes take."""
    results = [Turn(None, (ToolResult(f"c{n}", letter * 9_000),)) for n in range(20)]
    prompt = Prompt(model="m", prompt=letter * 2_500, system_prompt=letter * 9_000, turns=(*results,))
    asked = kept("gen_ai.input.messages", content.asked(prompt))
    assert [part["role"] for part in asked] == ["user", *["tool"] * 16]
    assert asked[-1]["parts"][0]["id"] == "c19"
    assert asked[-1]["parts"][0]["response"].startswith(letter.encode(errors="replace").decode())
    assert kept("gen_ai.system_instructions", content.instructions(prompt))
    saying = content.Saying()
    for n in range(20):
        saying.add(ToolCall(letter * 9_000, letter * 9_000, letter * 9_000))
        saying.add(Text(f"{n}"))
    assert len(kept("gen_ai.output.messages", saying.told("end"))[0]["parts"]) == 16
    assert kept("gen_ai.tool.call.arguments", content.called_with(json.dumps({"word": letter * 9_000})))
    assert len(content.cut(letter * 9_000).encode(errors="replace")) < content.MAX_BYTES


def kept(name: str, told: str) -> Any:
    """What the store makes of an attribute."""
    value = AnyValue(string_value=told.encode(errors="replace").decode())
    return json.loads(attributes_from_otlp([KeyValue(key=name, value=value)])[name])


def test_what_is_short_is_told_as_it_is() -> None:
    prompt = Prompt(model="m", prompt="é" * 4_000)
    assert json.loads(content.asked(prompt))[0]["parts"][0]["content"] == "é" * 4_000
    assert content.called_with('{"a":  1}') == '{"a":  1}'


@pytest.mark.parametrize("value", ["true", "True", "SPAN_ONLY", "span_and_event"])
def test_content_is_wanted_where_the_convention_s_variable_says_so(value: str) -> None:
    assert content.wanted({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value})


@pytest.mark.parametrize("value", ["", "false", "0", "NO_CONTENT", "EVENT_ONLY", "yes please"])
def test_content_is_not_wanted_otherwise(value: str) -> None:
    assert not content.wanted({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value})
    assert not content.wanted({})
