"""Which tools a step gets, and what a call of one brings."""

import asyncio
from collections.abc import Mapping

import pytest
from devteam_worker.providers.base import FailureReason, ProviderError, ToolCall, ToolResult, ToolSpec
from devteam_worker.tools.base import Tool, ToolError
from devteam_worker.tools.toolbox import Limits, Toolbox


def a_tool(name: str, answer: object = "fine", source: str = "function") -> Tool:
    async def carry_out(arguments: Mapping[str, object]) -> str:
        if isinstance(answer, BaseException):
            raise answer
        return str(answer).format(**arguments)

    return Tool(name, f"Does {name}.", {"type": "object"}, source, carry_out)


BOX = Toolbox([a_tool("time"), a_tool("docs.search"), a_tool("docs.read")])


class TestNames:
    def test_steps_may_ask_for_tools_and_for_groups_of_them(self) -> None:
        assert BOX.names == ("time", "docs.search", "docs.read", "docs")

    def test_a_group_stands_for_all_of_it(self) -> None:
        hand, provided = BOX.hand(["docs"])
        assert hand.specs == (
            ToolSpec("docs__search", "Does docs.search.", {"type": "object"}),
            ToolSpec("docs__read", "Does docs.read.", {"type": "object"}),
        )
        assert provided == ()

    def test_a_tool_that_is_asked_for_twice_is_offered_once(self) -> None:
        hand, _ = BOX.hand(["docs.read", "docs"])
        assert [spec.name for spec in hand.specs] == ["docs__read", "docs__search"]

    def test_what_the_owner_does_not_allow_is_not_there(self) -> None:
        box = Toolbox([a_tool("time"), a_tool("docs.search"), a_tool("docs.read")], allowed=["docs.s*"])
        assert box.names == ("docs.search", "docs")
        assert [spec.name for spec in box.hand(["docs"])[0].specs] == ["docs__search"]

    def test_what_models_could_not_name_is_left_out(self) -> None:
        assert Toolbox([a_tool("über"), a_tool("x" * 65)]).names == ()

    def test_the_first_of_a_name_wins(self) -> None:
        box = Toolbox([a_tool("time", source="function"), a_tool("time", source="mcp:clock")])
        tool = box.hand(["time"])[0].tool("time")
        assert tool is not None
        assert tool.source == "function"

    def test_two_that_models_could_not_tell_apart_are_one(self) -> None:
        box = Toolbox([a_tool("a.b__c"), a_tool("a__b.c"), a_tool("files.read"), a_tool("files__read")])
        assert box.names == ("a.b__c", "files.read", "a", "files")

    def test_the_providers_own_are_left_to_it(self) -> None:
        hand, provided = BOX.hand(["time", "web_search"], provided=["web_search", "web_fetch"])
        assert [spec.name for spec in hand.specs] == ["time"]
        assert provided == ("web_search",)

    def test_the_workers_own_goes_before_the_providers(self) -> None:
        box = Toolbox([a_tool("web_search")])
        assert box.hand(["web_search"], provided=["web_search"])[1] == ()

    def test_an_unknown_one_is_a_failure_that_names_it(self) -> None:
        with pytest.raises(ProviderError, match="no tool 'weather'") as failure:
            BOX.hand(["time", "weather"])
        assert failure.value.reason is FailureReason.INVALID_REQUEST


async def answer(tool: Tool, arguments: str = "{}", limits: Limits | None = None) -> ToolResult:
    hand, _ = Toolbox([tool], limits=limits).hand([tool.name])
    return await hand.answer(ToolCall("c1", hand.specs[0].name, arguments))


class TestAnswers:
    async def test_what_the_tool_says_and_where_it_comes_from(self) -> None:
        result = await answer(a_tool("docs.greet", "Hello {name}", "mcp:docs"), '{"name": "Ada"}')
        assert result == ToolResult("c1", "Hello Ada", is_error=False, source="mcp:docs")

    async def test_no_arguments_are_none(self) -> None:
        assert await answer(a_tool("time"), "") == ToolResult("c1", "fine", source="function")

    @pytest.mark.parametrize("arguments", ["{", "[1]", '"x"'])
    async def test_arguments_that_are_none_are_told_to_the_model(self, arguments: str) -> None:
        result = await answer(a_tool("time"), arguments)
        assert result.is_error
        assert "JSON" in result.content

    async def test_its_own_words_when_it_could_not(self) -> None:
        result = await answer(a_tool("time", ToolError("No such zone.")))
        assert result == ToolResult("c1", "No such zone.", is_error=True, source="function")

    async def test_nothing_internal_when_it_broke(self) -> None:
        result = await answer(a_tool("time", RuntimeError("password is hunter2")))
        assert result == ToolResult("c1", "time failed (RuntimeError).", is_error=True, source="function")

    async def test_one_that_never_answers_is_given_up(self) -> None:
        async def never(arguments: Mapping[str, object]) -> str:
            await asyncio.get_running_loop().create_future()
            return ""

        result = await answer(Tool("time", "", {}, "function", never), limits=Limits(seconds=0.01))
        assert result.is_error
        assert "within 0.01 s" in result.content

    async def test_a_long_answer_is_cut_and_says_so(self) -> None:
        result = await answer(a_tool("time", "é" * 300), limits=Limits(answer_bytes=501))
        assert result.content == "é" * 250 + "\n[cut: 99 of 600 bytes left out]"

    async def test_a_tool_that_was_not_offered_is_not_called(self) -> None:
        hand, _ = BOX.hand(["time"])
        result = await hand.answer(ToolCall("c1", "docs__read", "{}"))
        assert result == ToolResult("c1", "There is no tool 'docs__read' for this task.", is_error=True)

    async def test_being_stopped_is_no_answer(self) -> None:
        begun = asyncio.Event()

        async def never(arguments: Mapping[str, object]) -> str:
            begun.set()
            await asyncio.get_running_loop().create_future()
            return ""

        calling = asyncio.create_task(answer(Tool("time", "", {}, "function", never)))
        await begun.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    async def test_a_tool_that_cancels_itself_has_failed(self) -> None:
        result = await answer(a_tool("time", asyncio.CancelledError()))
        assert result == ToolResult("c1", "time was cancelled by its own code.", is_error=True, source="function")

    @pytest.mark.parametrize("name", [r"\ud83d!", "\ud83d!"])
    async def test_half_a_character_reaches_no_tool(self, name: str) -> None:
        """Neither as JSON writes it, nor as a server hands it over."""
        result = await answer(a_tool("greet", "Hello {name}"), f'{{"name": "{name}"}}')
        assert (result.content, result.is_error) == ("Hello ?!", False)

    async def test_arguments_without_a_bottom_are_told_to_the_model(self) -> None:
        result = await answer(a_tool("time"), '{"a":' * 100_000 + "1" + "}" * 100_000)
        assert (result.is_error, "too deep" in result.content) == (True, True)

    async def test_a_made_up_name_is_not_repeated_at_length(self) -> None:
        hand, _ = BOX.hand(["time"])
        assert len((await hand.answer(ToolCall("c1", "x" * 1_000_000, "{}"))).content) < 200
