"""The index of a folder of documents."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from devteam_worker.documents.folder import MAX_BYTES, NoDocument, Reason
from devteam_worker.documents.index import Changes, DocumentIndex
from devteam_worker.tools.base import ToolError

DAY = 1_795_348_800  # 2026-11-22, in seconds


class Library:
    """A folder of documents and its index. What is written grows a second younger each time."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "docs"
        self.file = folder / "cache" / "index.sqlite"
        self._now = DAY
        self._indexes: list[DocumentIndex] = []
        self.root.mkdir()

    def write(self, path: str, text: str | bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        self._now += 1
        os.utime(place, (self._now, self._now))

    def opened(self, **rest: Any) -> DocumentIndex:
        index = DocumentIndex(self.root, self.file, **rest)
        self._indexes.append(index)
        index.open()
        return index

    def close(self) -> None:
        for index in self._indexes:
            index.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path)
    yield library
    library.close()


def paths(index: DocumentIndex, query: str) -> list[str]:
    return [hit.path for hit in index.search(query, 10)]


class TestSearch:
    def test_a_passage_comes_with_where_it_stands(self, library: Library) -> None:
        library.write("sea/tides.md", "# Tides\n\nThe moon pulls.\n")
        index = library.opened()
        index.refresh()
        [hit] = index.search("moon", 5)
        assert (hit.path, hit.first_line, hit.last_line) == ("sea/tides.md", 1, 3)
        assert (hit.text, hit.modified.isoformat()) == ("# Tides\n\nThe moon pulls.", "2026-11-22T12:00:01+00:00")
        assert hit.score > 0

    def test_the_best_comes_first(self, library: Library) -> None:
        library.write("a.md", "The moon is far away, and so is much else that people look at in the night.")
        library.write("b.md", "Moon, moon, moon.")
        for number in range(10):
            library.write(f"{number}.md", "Nothing of it.")
        index = library.opened()
        index.refresh()
        hits = index.search("moon", 5)
        assert [hit.path for hit in hits] == ["b.md", "a.md"]
        assert hits[0].score > hits[1].score
        assert len(index.search("moon", 1)) == 1

    def test_any_of_the_words_will_do_where_nothing_has_them_all(self, library: Library) -> None:
        library.write("a.md", "moon")
        library.write("b.md", "moon and sun")
        index = library.opened()
        index.refresh()
        assert paths(index, "moon sun") == ["b.md"]
        assert sorted(paths(index, "moon soil")) == ["a.md", "b.md"]
        assert paths(index, "soil") == []

    def test_a_word_is_found_in_its_other_forms_and_without_its_accents(self, library: Library) -> None:
        library.write("a.md", "Tides near Saint-Mâlo")
        index = library.opened()
        index.refresh()
        assert paths(index, "TIDE malo") == ["a.md"]

    def test_the_name_of_a_document_and_the_heading_above_count_too(self, library: Library) -> None:
        library.write("sea/tides.md", "# Moon\n\n" + "It pulls. " * 200)
        index = library.opened()
        index.refresh()
        assert len(paths(index, "tides pulls")) == 2
        assert len(paths(index, "moon pulls")) == 2


class TestRefresh:
    def test_what_is_new_changed_or_gone_is_seen(self, library: Library) -> None:
        library.write("stays.md", "moon")
        library.write("changes.md", "sun")
        library.write("goes.md", "sun")
        index = library.opened()
        assert index.refresh() == Changes(taken=3, read=3)
        library.write("changes.md", "moon, changed")
        library.write("new.md", "moon, new")
        (library.root / "goes.md").unlink()
        assert index.refresh() == Changes(taken=3, read=2, gone=1)
        assert sorted(paths(index, "moon")) == ["changes.md", "new.md", "stays.md"]
        assert paths(index, "sun") == []
        assert index.count() == 3
        assert index.refresh() == Changes(taken=3)

    def test_another_start_reads_only_what_has_changed_since(self, library: Library) -> None:
        library.write("a.md", "moon")
        first = library.opened()
        first.refresh()
        first.close()
        library.write("b.md", "moon")
        second = library.opened()
        assert paths(second, "moon") == ["a.md"]
        assert second.refresh() == Changes(taken=2, read=1)

    def test_two_workers_of_a_machine_share_an_index(self, library: Library) -> None:
        library.write("a.md", "moon")
        first, second = library.opened(), library.opened()
        first.refresh()
        assert second.refresh() == Changes(taken=1)
        library.write("a.md", "sun")
        second.refresh()
        assert (paths(first, "sun"), paths(first, "moon")) == (["a.md"], [])

    def test_even_if_all_of_them_begin_it_at_once(self, library: Library) -> None:
        gate = threading.Barrier(8)

        def begin() -> DocumentIndex:
            gate.wait(60)
            return library.opened()

        with ThreadPoolExecutor(8) as pool:
            begun = [pool.submit(begin) for _ in range(8)]
        assert [index.result().count() for index in begun] == [0] * 8

    def test_files_that_are_no_documents_are_named_once(self, library: Library) -> None:
        library.write("a.md", "moon")
        library.write("large.txt", b"moon " * (MAX_BYTES // 5 + 1))
        library.write("photo.jpg", b"\xff\xd8moon\0")
        library.write("paper.pdf", b"%PDF-1.7 moon")
        index = library.opened()
        left_out = {"large.txt": Reason.TOO_LARGE, "photo.jpg": Reason.NO_TEXT, "paper.pdf": Reason.PDF}
        assert index.refresh() == Changes(taken=4, read=1, left_out=left_out)
        assert index.refresh() == Changes(taken=4)
        assert paths(index, "moon") == ["a.md"]
        assert index.count() == 1

    def test_one_that_becomes_a_document_is_read_then(self, library: Library) -> None:
        library.write("a.md", b"\0")
        index = library.opened()
        index.refresh()
        library.write("a.md", "moon")
        index.refresh()
        assert paths(index, "moon") == ["a.md"]

    def test_a_file_that_could_not_be_read_is_tried_again(self, library: Library) -> None:
        library.write("a.md", "moon")
        index = library.opened()
        read = index._folder.text

        def fail(path: str) -> str:
            raise NoDocument(Reason.UNREADABLE)

        index._folder.text = fail  # type: ignore[method-assign]  # a disk that fails
        assert index.refresh().left_out == {"a.md": Reason.UNREADABLE}
        index._folder.text = read  # type: ignore[method-assign]  # and recovers
        assert index.refresh() == Changes(taken=1, read=1)
        assert index.count() == 1

    def test_no_more_than_so_many_are_taken(self, library: Library) -> None:
        for name in "abc":
            library.write(f"{name}.md", "moon")
        index = library.opened(max_documents=2)
        assert index.refresh() == Changes(taken=2, read=2, full=True)
        (library.root / "a.md").unlink()
        assert index.refresh() == Changes(taken=2, read=1, gone=1)
        assert sorted(paths(index, "moon")) == ["b.md", "c.md"]

    def test_it_ends_early_when_it_is_stopped(self, library: Library) -> None:
        for name in "abc":
            library.write(f"{name}.md", "moon")
        index = library.opened()
        answers = iter([False, True])
        assert index.refresh(lambda: next(answers)).read == 1
        assert index.count() == 1

    def test_a_folder_that_cannot_be_read_forgets_nothing(self, library: Library) -> None:
        library.write("a.md", "moon")
        index = library.opened()
        index.refresh()
        library.root.rename(library.root.with_name("elsewhere"))
        with pytest.raises(FileNotFoundError):
            index.refresh()
        assert paths(index, "moon") == ["a.md"]


class TestReading:
    def test_a_document_is_read_as_it_is_now(self, library: Library) -> None:
        library.write("a.md", "moon\n")
        index = library.opened()
        index.refresh()
        library.write("a.md", "sun\n")
        read = index.text("a.md")
        assert read is not None
        assert (read[0].path, read[1]) == ("a.md", "sun\n")

    def test_by_a_name_in_either_form_of_unicode(self, library: Library) -> None:
        library.write("u\u0308ber.md", "moon")
        index = library.opened()
        index.refresh()
        assert index.text("\u00fcber.md") is not None

    @pytest.mark.parametrize(
        "path", ["../secret.md", "link.md", ".hidden.md", "new.md", "photo.jpg", "", "/etc/hostname"]
    )
    def test_what_no_search_could_find_is_not_read(self, library: Library, path: str) -> None:
        (library.root.parent / "secret.md").write_text("secret")
        (library.root / "link.md").symlink_to("../secret.md")
        library.write(".hidden.md", "secret")
        library.write("photo.jpg", b"\0")
        index = library.opened()
        index.refresh()
        library.write("new.md", "not seen yet")
        assert index.text(path) is None

    def test_nor_a_document_that_has_become_a_way_out(self, library: Library) -> None:
        (library.root.parent / "secret.md").write_text("secret")
        library.write("a.md", "moon")
        index = library.opened()
        index.refresh()
        (library.root / "a.md").unlink()
        (library.root / "a.md").symlink_to("../secret.md")
        assert index.text("a.md") is None

    def test_names_come_in_order_and_by_what_they_begin_with(self, library: Library) -> None:
        for path in ("b.md", "a/1.md", "a/2.md", "a_1.md", "A/3.md"):
            library.write(path, "moon")
        index = library.opened()
        index.refresh()
        assert [file.path for file in index.names("", 0, 9)] == ["A/3.md", "a/1.md", "a/2.md", "a_1.md", "b.md"]
        assert [file.path for file in index.names("a/", 0, 9)] == ["a/1.md", "a/2.md"]
        assert [file.path for file in index.names("", 1, 2)] == ["a/1.md", "a/2.md"]
        assert index.names("%", 0, 9) == []


class TestKeeping:
    def test_it_lies_where_nobody_else_reads_it(self, library: Library) -> None:
        library.opened().close()
        assert library.file.parent.stat().st_mode & 0o077 == 0

    def test_a_broken_file_is_made_anew(self, library: Library) -> None:
        library.write("a.md", "moon")
        library.file.parent.mkdir()
        library.file.write_bytes(b"no database at all" * 100)
        index = library.opened()
        index.refresh()
        assert paths(index, "moon") == ["a.md"]

    def test_so_is_one_that_is_broken_further_on(self, library: Library) -> None:
        for number in range(50):
            library.write(f"{number}.md", f"moon {number} " * 300)
        before = library.opened()
        before.refresh()
        before.close()
        with library.file.open("r+b") as file:
            for page in range(8, library.file.stat().st_size // 4096, 3):
                file.seek(page * 4096)
                file.write(b"\xa5" * 4096)
        index = library.opened()
        assert index.refresh().read == 50
        assert len(paths(index, "moon")) == 10

    def test_so_is_one_of_another_version(self, library: Library) -> None:
        library.write("a.md", "moon")
        before = library.opened()
        before.refresh()
        before.close()
        with sqlite3.connect(library.file) as store:
            store.execute("PRAGMA user_version = 9")
        store.close()
        assert library.opened().refresh() == Changes(taken=1, read=1)

    def test_without_a_folder_there_is_nothing_to_search(self, library: Library) -> None:
        library.root.rmdir()
        with pytest.raises(ToolError, match="There is no folder"):
            library.opened()

    def test_a_place_where_nothing_can_be_kept_is_said(self, library: Library) -> None:
        library.file.parent.write_text("in the way")
        with pytest.raises(ToolError, match="cannot be kept in"):
            library.opened()

    def test_a_python_without_full_text_search_is_told(self, library: Library) -> None:
        class Poor(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                return super().execute(sql.replace("fts5", "no_fts5"), *rest)

        def connect(file: Path, **rest: Any) -> sqlite3.Connection:
            return sqlite3.connect(file, factory=Poor, **rest)

        with pytest.raises(ToolError, match="lacks FTS5"):
            library.opened(connect=connect)
