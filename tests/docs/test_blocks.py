"""No block of any page is merely believed: it is run, read by whom it is meant for, or says why not."""

from pathlib import Path

import pytest

from tests.docs.blocks import Block, all_blocks, blocks, pages, parsed, text_of
from tests.docs.readers import FOR_PEOPLE, has_reader, read
from tests.docs.test_commands import PROGRAMS
from tests.e2e.programs import REPOSITORY

ALL = all_blocks()
READ = [block for block in ALL if not block.excused and has_reader(block)]


@pytest.mark.parametrize("page", pages())
def test_every_block_is_checked_or_says_why_not(page: str) -> None:
    known = PROGRAMS | FOR_PEOPLE
    believed = [
        f"{block.place} ({block.language or 'no language'})"
        for block in blocks(page)
        if not (block.excused or block.language in known or has_reader(block))
    ]
    assert not believed, (
        f"{believed}: give it a language that tests/docs runs or reads ({', '.join(sorted(known))}, yaml, json, ...), "
        "or put <!-- not run: WHY --> on the line before it"
    )


@pytest.mark.parametrize("block", READ, ids=lambda block: block.place)
def test_it_can_be_read(block: Block, tmp_path: Path) -> None:
    read(block, tmp_path)


@pytest.mark.parametrize("page", pages())
def test_code_is_always_fenced(page: str) -> None:
    """A block that is only indented would be nobody's business."""
    fenced = {
        number for block in blocks(page) for number in range(block.line, block.line + len(block.text.split("\n")))
    }
    before, found = "", []
    for number, line in enumerate(text_of(page).splitlines(), start=1):
        if line.startswith("    ") and not before.strip() and number not in fenced:
            found.append(f"{page}:{number}")
        before = line
    assert found == []


def test_who_is_said_to_check_a_block_names_its_page() -> None:
    said = {
        (block.page, path) for block in ALL for name in ("checked by", "page checked by") if (path := block.note(name))
    }
    wrong = [
        (page, path)
        for page, path in said
        if not (REPOSITORY / path).is_file() or Path(page).name not in _text_and_imports(REPOSITORY / path)
    ]
    assert wrong == []


def _text_and_imports(file: Path) -> str:
    """A test's own text, and that of the modules beside it, which may hold the page's name."""
    return "\n".join(path.read_text(encoding="utf-8") for path in file.parent.glob("*.py"))


class TestBlocks:
    PAGE = "# Title\n\n<!-- not run: because -->\n<!-- exits: 3 -->\n\n```sh\nfalse\n```\n\nWord.\n\n```sh\ntrue\n```\n"

    def test_a_note_is_about_the_next_block_alone(self) -> None:
        first, second = parsed("page.md", self.PAGE)
        assert (first.place, first.text, first.note("exits"), first.excused) == ("page.md:6", "false\n", "3", True)
        assert (second.text, second.notes) == ("true\n", {})

    def test_a_word_between_ends_a_note(self) -> None:
        [block] = parsed("page.md", "<!-- not run: because -->\nBut first:\n```sh\ntrue\n```\n")
        assert not block.excused

    def test_a_page_can_be_checked_as_a_whole(self) -> None:
        page = parsed("page.md", "<!-- page checked by: tests/x.py -->\n\nA\n\n```sh\na\n```\nB\n\n```sh\nb\n```\n")
        assert [block.excused for block in page] == [True, True]

    def test_a_block_in_a_list_loses_its_indent(self) -> None:
        [block] = parsed("page.md", "1. One\n\n   ```sh\n   a\n     b\n   ```\n")
        assert block.text == "a\n  b\n"

    def test_what_is_never_closed_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"page\.md:1: .* never closed"):
            parsed("page.md", "```sh\ntrue\n")
