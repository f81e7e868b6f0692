"""A folder of documents as tools, the way a run meets them."""

import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from devteam_worker.documents.index import MAX_DOCUMENTS, Changes, DocumentIndex
from devteam_worker.providers.base import ToolCall, ToolResult
from devteam_worker.settings import load_settings
from devteam_worker.tools.documents import DocumentSource
from devteam_worker.tools.equipment import equipped
from devteam_worker.tools.toolbox import Toolbox
from structlog.testing import capture_logs

from devteam.mesh.clock import SystemClock
from tests.fakes.clock import FakeClock

DAY = 1_795_348_800  # 2026-11-22, in seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a worker file and its library lie."""
    write(tmp_path, "tides.md", "# Tides\n\nThe moon pulls the sea.\n\n# Springs\n\nSun and moon in line.\n")
    write(tmp_path, "soil/worms.txt", "Worms turn the soil over.\n")
    return tmp_path


def write(folder: Path, path: str, text: str) -> None:
    place = folder / "library" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    os.utime(place, (DAY, DAY))


class Desk:
    """A worker's tools, as its file names them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()

    async def toolbox(self, sources: str) -> Toolbox:
        file = self._folder / "worker.yaml"
        file.write_text(f"worker:\n  dataSources: {sources}\n")
        settings = load_settings(file, {}, {})
        return await self._stack.enter_async_context(equipped(settings, [], SystemClock(), self._folder / "state"))

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def desk(folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(folder)
    yield desk
    await desk.close()


@pytest.fixture
async def toolbox(desk: Desk) -> Toolbox:
    return await desk.toolbox("[{name: library, path: library}]")


async def call(toolbox: Toolbox, tool: str, **arguments: object) -> ToolResult:
    hand, _ = toolbox.hand(["library"])
    return await hand.answer(ToolCall("c1", f"library__{tool}", json.dumps(arguments)))


async def said(toolbox: Toolbox, tool: str, **arguments: object) -> str:
    result = await call(toolbox, tool, **arguments)
    assert not result.is_error, result.content
    return result.content


class TestTools:
    async def test_a_folder_is_a_group_of_three(self, toolbox: Toolbox) -> None:
        assert toolbox.names == ("library.search", "library.read", "library.list", "library")

    async def test_a_question_is_all_that_they_require(self, toolbox: Toolbox) -> None:
        """Of one text each: so that a model that knows nothing else can call them."""
        parameters = {spec.name: spec.parameters for spec in toolbox.hand(["library"])[0].specs}
        assert {name: schema["required"] for name, schema in parameters.items()} == {
            "library__search": ["query"],
            "library__read": ["document"],
            "library__list": [],
        }

    async def test_a_search_brings_passages_and_where_they_stand(self, toolbox: Toolbox) -> None:
        result = await call(toolbox, "search", query="What do worms do?")
        assert (result.source, result.is_error) == ("documents:library", False)
        head, place, text = result.content.split("\n", 4)[0], *result.content.splitlines()[2:4]
        assert head == "1 passage of library, best first."
        assert place.startswith("[1] soil/worms.txt, line 1 (score ")
        assert place.endswith(", changed 2026-11-22)")
        assert text == "Worms turn the soil over."

    async def test_as_many_as_were_asked_for(self, toolbox: Toolbox) -> None:
        assert (await said(toolbox, "search", query="moon worms", limit=1)).startswith("1 passage ")
        assert (await said(toolbox, "search", query="moon worms", limit="2")).startswith("2 passages ")
        assert (await said(toolbox, "search", query="moon worms", limit=1e9)).startswith("2 passages ")

    @pytest.mark.parametrize("query", ["basalt", "🌋", '"NOT"'])
    async def test_nothing_found_is_an_answer(self, toolbox: Toolbox, query: str) -> None:
        assert await said(toolbox, "search", query=query) == "Nothing fits in library (2 documents). Try other words."

    async def test_a_document_is_read_by_lines(self, toolbox: Toolbox) -> None:
        assert await said(toolbox, "read", document="soil/worms.txt") == (
            "soil/worms.txt of library, lines 1-1 of 1, changed 2026-11-22\n\nWorms turn the soil over."
        )
        assert await said(toolbox, "read", document="tides.md", offset=3, lines=2) == (
            "tides.md of library, lines 3-4 of 7, changed 2026-11-22; the next begin at offset 5\n"
            "\nThe moon pulls the sea.\n"
        )

    async def test_lines_end_where_passages_count_them(self, folder: Path, toolbox: Toolbox, desk: Desk) -> None:
        """A form feed ends none."""
        write(folder, "form.txt", "one\x0cone\x85one\ntwo\n")
        assert "lines 2-2 of 2" in await said(await desk.toolbox("[{name: library, path: library}]"), "read",
                                              document="form.txt", offset=2)  # fmt: skip

    async def test_an_empty_document_is_read_as_such(self, folder: Path, desk: Desk) -> None:
        write(folder, "empty.md", "\n")
        toolbox = await desk.toolbox("[{name: library, path: library}]")
        assert "empty.md of library, empty, changed" in await said(toolbox, "read", document="empty.md")

    async def test_names_are_listed_by_folder(self, toolbox: Toolbox) -> None:
        everything = await said(toolbox, "list")
        assert everything.splitlines()[0] == "2 documents of library"
        assert [line.split(" ")[0] for line in everything.splitlines()[2:]] == ["soil/worms.txt", "tides.md"]
        assert (await said(toolbox, "list", under="soil/")).splitlines()[2:] == [
            "soil/worms.txt (26 bytes, changed 2026-11-22)"
        ]
        assert await said(toolbox, "list", skip=2) == "There are no more such documents in library."

    @pytest.mark.parametrize(
        ("tool", "arguments", "field"),
        [
            ("search", {}, "query"),
            ("search", {"query": " "}, "query"),
            ("search", {"query": ["moon"]}, "query"),
            ("search", {"query": "moon", "limit": "many"}, "limit"),
            ("search", {"query": "moon", "limit": True}, "limit"),
            ("read", {}, "document"),
            ("read", {"document": "none.md"}, "document"),
            ("read", {"document": "../worker.yaml"}, "document"),
            ("read", {"document": "x" * 10_000}, "document"),
            ("read", {"document": "\ud800"}, "document"),
            ("read", {"document": "tides.md", "offset": 8}, "offset"),
            ("read", {"document": "tides.md", "lines": 1.5}, "lines"),
            ("list", {"under": 3}, "under"),
        ],
    )
    async def test_what_cannot_be_done_names_the_argument(
        self, toolbox: Toolbox, tool: str, arguments: dict[str, object], field: str
    ) -> None:
        result = await call(toolbox, tool, **arguments)
        assert result.is_error
        assert result.content.startswith(f"{field}: ")
        assert len(result.content) < 300


class TestSources:
    async def test_names_alone_have_no_tools(self, desk: Desk) -> None:
        assert (await desk.toolbox('[wiki, {name: web, url: "https://wiki.example"}]')).names == ()

    async def test_a_missing_folder_costs_its_tools_and_is_said(self, desk: Desk) -> None:
        with capture_logs() as logs:
            toolbox = await desk.toolbox("[{name: gone, path: gone}, {name: library, path: library}]")
        assert "library" in toolbox.names
        assert "gone" not in toolbox.names
        [left_out] = [log for log in logs if log["event"] == "tools left out"]
        assert left_out["source"] == "documents:gone"
        assert "There is no folder" in left_out["why"]

    async def test_nor_does_one_that_cannot_be_examined_stop_the_worker(self, desk: Desk) -> None:
        with capture_logs() as logs:
            toolbox = await desk.toolbox(f"[{{name: odd, path: {'x' * 300}}}, {{name: library, path: library}}]")
        assert "library" in toolbox.names
        [left_out] = [log for log in logs if log["event"] == "tools left out"]
        assert "There is no folder" in left_out["why"]

    async def test_nor_does_whatever_else_a_source_may_raise(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(index: DocumentIndex) -> None:
            raise ValueError("secret")

        monkeypatch.setattr(DocumentIndex, "open", broken)
        with capture_logs() as logs:
            assert (await desk.toolbox("[{name: library, path: library}]")).names == ()
        assert [log["why"] for log in logs if log["event"] == "tools left out"] == ["cannot be opened (ValueError)"]

    async def test_the_index_lies_with_the_state_of_the_worker(self, folder: Path, toolbox: Toolbox) -> None:
        assert len(list((folder / "state" / "documents").glob("*.sqlite"))) == 1

    async def test_files_that_their_owner_would_miss_are_named(self, folder: Path, desk: Desk) -> None:
        write(folder, "large.txt", "moon " * 1_100_000)
        write(folder, "paper.pdf", "%PDF-1.7")
        with capture_logs() as logs:
            await desk.toolbox("[{name: library, path: library}]")
        told = [(log["event"], log.get("document"), log.get("left_out")) for log in logs]
        assert ("document left out", "large.txt", None) in told
        assert ("documents read", None, {"larger than 5 MiB": 1, "PDF": 1}) in told


class TestFreshness:
    @pytest.fixture
    async def source(self, folder: Path, clock: FakeClock) -> AsyncIterator[DocumentSource]:
        source = DocumentSource("library", folder / "library", folder / "state", clock)
        yield source
        await source.close()

    async def test_it_looks_again_after_a_while_and_only_when_asked(
        self, folder: Path, source: DocumentSource, clock: FakeClock
    ) -> None:
        toolbox = Toolbox(await source.open())
        write(folder, "volcano.md", "Lava")
        assert (await said(toolbox, "search", query="lava")).startswith("Nothing fits")
        clock.advance(10)
        assert (await said(toolbox, "search", query="lava")).startswith("1 passage")
        (folder / "library" / "volcano.md").unlink()
        assert (await said(toolbox, "search", query="lava")).startswith("1 passage")
        clock.advance(10)
        assert (await said(toolbox, "search", query="lava")).startswith("Nothing fits")

    async def test_a_folder_that_is_taken_away_is_searched_as_it_was(
        self, folder: Path, source: DocumentSource, clock: FakeClock
    ) -> None:
        toolbox = Toolbox(await source.open())
        (folder / "library").rename(folder / "elsewhere")
        clock.advance(10)
        with capture_logs() as logs:
            assert (await said(toolbox, "search", query="worms")).startswith("1 passage")
        assert [log["event"] for log in logs] == ["documents not looked at"]

    async def test_a_look_that_takes_long_holds_nobody_up_and_is_said(self, folder: Path, clock: FakeClock) -> None:
        patience = {"start_patience": 0.0, "question_patience": 0.0}
        source = DocumentSource("library", folder / "library", folder / "state", clock, **patience)
        looked, look = threading.Event(), source._index.refresh

        def at_length(stopped: Callable[[], bool]) -> Changes:
            assert looked.wait(60)
            return look(stopped)

        source._index.refresh = at_length  # type: ignore[assignment, method-assign]  # a folder on a slow disk
        toolbox = Toolbox(await source.open())
        answer = await said(toolbox, "search", query="worms")
        assert answer.startswith("Nothing fits in library (0 documents).")
        assert answer.endswith("[library is still being read; there may be more soon]")
        assert (await said(toolbox, "list")).endswith("there may be more soon]")
        looked.set()
        await source.close()

    async def test_a_look_that_never_ends_holds_no_worker(self, folder: Path, clock: FakeClock) -> None:
        source = DocumentSource("library", folder / "library", folder / "state", clock, start_patience=0, parting=0)
        released = threading.Event()

        def hang(stopped: Callable[[], bool]) -> Changes:
            assert released.wait(60)
            return Changes()

        source._index.refresh = hang  # type: ignore[assignment, method-assign]  # a disk that is gone
        await source.open()
        with capture_logs() as logs:
            await source.close()
        assert [log["event"] for log in logs] == ["documents are still being read"]
        released.set()

    async def test_one_that_was_never_opened_closes_as_well(self, source: DocumentSource) -> None:
        await source.close()

    async def test_too_many_files_are_said_once(self, source: DocumentSource) -> None:
        with capture_logs() as logs:
            for _ in range(2):
                source._tell(Changes(taken=MAX_DOCUMENTS, full=True))
        assert [(log["event"], log["taken"]) for log in logs] == [
            ("documents left out: the folder holds too many", 100_000)
        ]
