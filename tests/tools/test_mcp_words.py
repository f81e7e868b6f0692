"""What MCP servers answer, and what they say on the side, in words."""

import os

import pytest
from devteam_worker.settings_sections import McpServerSettings
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.mcp_content import answer
from devteam_worker.tools.mcp_stderr import stderr_log
from devteam_worker.tools.variables import filled
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.fakes.mcp_tools import PICTURE

PAGE = TextResourceContents(uri="file:///page", text="a page")
ZIP = BlobResourceContents(uri="file:///all.zip", mime_type="application/zip", blob=PICTURE)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (TextContent(text="fine"), "fine"),
        (ImageContent(data=PICTURE, mime_type="image/png"), "[image/png, 12 kB]"),
        (AudioContent(data="aGVsbG8h", mime_type="audio/wav"), "[audio/wav, 6 bytes]"),
        (ResourceLink(name="page", uri="file:///page"), "[page: file:///page]"),
        (EmbeddedResource(resource=PAGE), "a page"),
        (EmbeddedResource(resource=ZIP), "[application/zip, 12 kB]"),
    ],
)
def test_each_kind_of_content_has_its_words(block: ContentBlock, words: str) -> None:
    assert answer(CallToolResult(content=[block])) == words


def test_texts_are_joined() -> None:
    assert answer(CallToolResult(content=[TextContent(text="one"), TextContent(text="two")])) == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], '{"größe": 3}'),
        ([TextContent(text="three")], "three"),
        ([EmbeddedResource(resource=PAGE)], "a page"),
        ([ImageContent(data="", mime_type="image/png")], '{"größe": 3}\n[image/png, 0 bytes]'),
    ],
)
def test_structure_stands_in_for_text_that_is_not_there(content: list[ContentBlock], words: str) -> None:
    assert answer(CallToolResult(content=content, structured_content={"größe": 3})) == words


@pytest.mark.parametrize(
    ("content", "words"), [([TextContent(text="no disk")], "no disk"), ([], "The tool failed, and did not say why.")]
)
def test_an_error_is_raised_with_its_text(content: list[ContentBlock], words: str) -> None:
    with pytest.raises(ToolError) as caught:
        answer(CallToolResult(content=content, is_error=True))
    assert str(caught.value) == words


def test_variables_are_put_in_everywhere_and_only_once() -> None:
    settings = McpServerSettings(
        url="https://${HOST}:${PORT}/mcp", args=("-${A}-${A}",), env={"X": "$A ${A}"}, headers={"Key": "${KEY}"}
    )
    found = filled(settings, {"HOST": "mcp.example", "PORT": "1", "A": "${B}", "KEY": ""})
    assert (found.url, found.args, found.env, found.headers) == (
        "https://mcp.example:1/mcp",
        ("-${B}-${B}",),
        {"X": "$A ${B}"},
        {"Key": ""},
    )


async def said(words: bytes) -> list[EventDict]:
    with capture_logs() as logs:
        async with stderr_log("files") as errlog:
            os.write(errlog.fileno(), words)
    return list(logs)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (b"one\n\ntwo\r\nthree", ["one", "two", "three"]),
        (b"\x1b[1;31mred\x1b[0m\x07 \xff\n", ["red  \ufffd"]),
        (b"x" * 5000 + b"\ny\n", ["x" * 500, "y"]),
    ],
)
async def test_what_is_said_on_the_side_is_plain_lines(words: bytes, lines: list[str]) -> None:
    assert [line["line"] for line in await said(words)] == lines


async def test_a_server_that_cannot_stop_does_not_fill_the_log() -> None:
    logs = await said(b"".join(b"line %d\n" % number for number in range(1000)))
    left_out = [line for line in logs if line["event"] == "tool server says more"]
    # The second may turn meanwhile.
    assert len(logs) - len(left_out) in {20, 40}
    assert sum(line["lines_left_out"] for line in left_out) + len(logs) - len(left_out) == 1000
    assert left_out[-1]["last"] == "line 999"
