"""What is a document, and what is none of the folder's business."""

import os
from pathlib import Path

import pytest
from devteam_worker.documents.folder import MAX_BYTES, File, Folder, NoDocument, Reason
from devteam_worker.documents.html import Tangled, text_of_html


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    return root


def paths(root: Path) -> list[str]:
    return [file.path for file in Folder(root).files()]


def reason(root: Path, path: str) -> Reason:
    with pytest.raises(NoDocument) as none:
        Folder(root).text(path)
    return none.value.reason


class TestFiles:
    def test_they_come_in_an_order_that_stays_with_their_stamps(self, root: Path) -> None:
        for path in ("b.md", "a/z.txt", "a/y/x.csv", "c.md"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("12345")
            os.utime(root / path, ns=(0, 7))
        assert list(Folder(root).files()) == [File(path, 7, 5) for path in ("b.md", "c.md", "a/z.txt", "a/y/x.csv")]

    def test_hidden_ones_are_left_alone(self, root: Path) -> None:
        (root / ".git").mkdir()
        (root / ".git" / "config").write_text("secret")
        (root / ".env").write_text("secret")
        (root / "a.md").write_text("a")
        assert paths(root) == ["a.md"]

    def test_links_lead_to_files_within_the_folder_only(self, root: Path) -> None:
        (root.parent / "secret.md").write_text("secret")
        (root / ".data").mkdir()
        (root / ".data" / "real.md").write_text("a")
        (root / "inside.md").symlink_to(".data/real.md")
        (root / "outside.md").symlink_to(root.parent / "secret.md")
        (root / "nowhere.md").symlink_to("none.md")
        (root / "circle").symlink_to(root)
        (root / "up").symlink_to(root.parent)
        assert paths(root) == ["inside.md"]

    def test_the_folder_itself_may_be_a_link(self, root: Path) -> None:
        (root / "a.md").write_text("a")
        (root.parent / "link").symlink_to(root)
        assert paths(root.parent / "link") == ["a.md"]
        assert Folder(root.parent / "link").text("a.md") == "a"

    def test_what_is_no_file_is_left_alone(self, root: Path) -> None:
        os.mkfifo(root / "pipe.md")
        assert paths(root) == []
        assert reason(root, "pipe.md") is Reason.UNREADABLE

    def test_names_may_be_in_any_language_but_must_be_text(self, root: Path) -> None:
        for name in ("Gezeiten über.md", "潮汐.md", "👩‍💻.md", "line\nbreak.md"):
            (root / name).write_text("a")
        (Path(os.fsdecode(os.fsencode(root) + b"/\xff.md"))).write_text("a")
        assert sorted(paths(root)) == ["Gezeiten über.md", "潮汐.md", "👩‍💻.md"]

    def test_years_of_broken_clocks_are_bounded(self, root: Path) -> None:
        (root / "a.md").write_text("a")
        os.utime(root / "a.md", (-10, -10))
        assert [file.modified_ns for file in Folder(root).files()] == [0]

    def test_a_folder_that_is_gone_is_an_error(self, root: Path) -> None:
        root.rmdir()
        with pytest.raises(FileNotFoundError):
            paths(root)


class TestText:
    def test_line_ends_of_every_kind_are_one(self, root: Path) -> None:
        (root / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
        assert Folder(root).text("a.txt") == "a\nb\nc\n"

    def test_web_pages_are_read_without_their_tags(self, root: Path) -> None:
        (root / "a.HTML").write_text(
            "<html><head><title>Sea</title><style>p {color: red}</style></head><body><h2>Tides &amp; more</h2>"
            "<p>They come\nand <b>g</b>o.<p>Twice<ul><li>low<li>high</ul><table><tr><td>6<td>h</table>"
            "<script>if (a < b) alert()</script><pre>a = 1\nb = 2</pre></p></body>"
        )
        assert Folder(root).text("a.HTML") == (
            "Sea\n\n## Tides & more\n\nThey come and go.\n\nTwice\n\nlow\nhigh\n\n6 h\n\na = 1\nb = 2"
        )

    def test_a_tag_without_an_end_costs_itself_and_not_the_rest(self, root: Path) -> None:
        (root / "a.html").write_text("<p>one</p><p title='>two</p><h1>three</h1>")
        assert Folder(root).text("a.html") == "one\n\n<p title='>two\n\n# three"

    @pytest.mark.parametrize("tag", ["<a ", "<!--", "<a b='", "<?", "</"])
    def test_a_page_of_nothing_else_is_given_up(self, tag: str) -> None:
        page = tag * 100
        assert text_of_html(page, most_sought=100 * len(page)).startswith("<")
        with pytest.raises(Tangled):
            text_of_html(page, most_sought=99 * len(page))

    def test_and_left_out_before_anybody_has_waited_long(self, root: Path) -> None:
        (root / "a.html").write_text("<!--" * (MAX_BYTES // 4))
        assert reason(root, "a.html") is Reason.TANGLED

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"\x7fELF\0\0", Reason.NO_TEXT),
            ("ä".encode("latin-1"), Reason.NO_TEXT),
            ("text".encode("utf-16"), Reason.NO_TEXT),
            (b"%PDF-1.7\n", Reason.PDF),
            (b"a" * (MAX_BYTES + 1), Reason.TOO_LARGE),
        ],
    )
    def test_other_files_are_none(self, root: Path, data: bytes, why: Reason) -> None:
        (root / "a.md").write_bytes(data)
        assert reason(root, "a.md") is why

    def test_the_largest_is_read_whole(self, root: Path) -> None:
        (root / "a.md").write_bytes(b"a" * MAX_BYTES)
        assert len(Folder(root).text("a.md")) == MAX_BYTES

    def test_nor_is_a_folder_that_bears_the_name_of_one(self, root: Path) -> None:
        (root / "a.md").mkdir()
        assert reason(root, "a.md") is Reason.UNREADABLE

    @pytest.mark.parametrize("path", ["../secret.md", "link.md", "up/secret.md", "none.md", ""])
    def test_nothing_outside_is_read(self, root: Path, path: str) -> None:
        (root.parent / "secret.md").write_text("secret")
        (root / "link.md").symlink_to("../secret.md")
        (root / "up").symlink_to("..")
        assert reason(root, path) is Reason.UNREADABLE

    def test_not_even_by_its_full_name(self, root: Path) -> None:
        (root.parent / "secret.md").write_text("secret")
        assert reason(root, str(root.parent / "secret.md")) is Reason.UNREADABLE

    @pytest.mark.parametrize("part", ["a", "a/b.md"])
    def test_nor_what_becomes_a_way_out_once_it_was_looked_at(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        (root / "a").mkdir()
        (root / "a" / "b.md").write_text("a")
        (root.parent / "b.md").write_text("secret")
        folder, look = Folder(root), os.path.realpath

        def look_and_turn(place: str) -> str:
            real = look(place)
            (root / part).rename(root / "before")
            (root / part).symlink_to(root.parent / "b.md" if part.endswith(".md") else root.parent)
            return real

        monkeypatch.setattr(os.path, "realpath", look_and_turn)
        with pytest.raises(NoDocument, match=Reason.UNREADABLE):
            folder.text("a/b.md")

    def test_a_link_that_is_replaced_while_it_is_followed_is_tried_again_later(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = Folder(root)

        def fail(place: str) -> str:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(os.path, "realpath", fail)
        with pytest.raises(NoDocument, match=Reason.UNREADABLE):
            folder.text("a.md")

    def test_files_that_are_refused_are_closed(self, root: Path) -> None:
        (root / "a").mkdir()
        before = os.open(root, os.O_RDONLY)
        os.close(before)
        for path in ("a", "", "../docs2", "a/none.md"):
            assert reason(root, path) is Reason.UNREADABLE
        after = os.open(root, os.O_RDONLY)
        os.close(after)
        assert after == before
