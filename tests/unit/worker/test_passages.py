"""How documents are cut into passages."""

import pytest
from devteam_worker.documents.passages import Passage, passages
from hypothesis import given
from hypothesis import strategies as st

SENTENCE = "The tide comes in twice a day. "


def test_a_short_document_is_one_passage() -> None:
    assert list(passages("Tides\n\nThey come and go.\n")) == [Passage(1, 3, "Tides\n\nThey come and go.")]


@pytest.mark.parametrize("text", ["", "\n", "  \n\t\n"])
def test_where_nothing_stands_there_is_none(text: str) -> None:
    assert list(passages(text)) == []


def test_lines_are_those_of_the_document() -> None:
    """Blank ones before it count, and are no part of it."""
    [passage] = passages("\n\n  Tides\ncome\n\n")
    assert (passage.first_line, passage.last_line, passage.text) == (3, 4, "Tides\ncome")


def test_a_long_document_is_cut_between_paragraphs() -> None:
    paragraph = (SENTENCE * 18).strip()
    first, second = passages(f"{paragraph}\n\n{paragraph}\n\n{paragraph}")
    assert first.text == f"{paragraph}\n\n{paragraph}"
    assert (second.first_line, second.text) == (5, paragraph)


def test_a_heading_begins_a_passage_and_is_known_to_those_under_it() -> None:
    text = f"# Sea\n\n{SENTENCE * 20}\n\n## Spring tides\n\n{SENTENCE * 60}"
    above, *below = passages(text)
    assert above.heading == "Sea"
    assert below[0].text.startswith("## Spring tides")
    assert [passage.heading for passage in below] == ["Spring tides"] * len(below)
    assert len(below) > 1


def test_headings_close_together_share_a_passage() -> None:
    [passage] = passages("# A\n\n## B\n\nword\n\n## C\n\nword\n")
    assert (passage.first_line, passage.last_line, passage.heading) == (1, 9, "A")


def test_a_paragraph_that_is_too_long_is_cut_after_a_sentence_and_overlaps_a_little() -> None:
    text = " ".join(f"Tide {number} comes in." for number in range(100))
    first, second = list(passages(text))[:2]
    assert first.text.endswith("comes in.")
    begins = text.index(second.text)
    assert len(first.text) - 100 <= begins < len(first.text)


def test_text_without_any_gap_is_cut_all_the_same() -> None:
    found = list(passages("x" * 5000))
    assert [len(passage.text) for passage in found] == [1200] * 4 + [200]


@given(st.text(st.sampled_from("ab#. \n"), max_size=6000))
def test_passages_are_what_their_lines_say_and_nothing_is_lost(text: str) -> None:
    lines = text.split("\n")
    reached = 0
    for passage in passages(text):
        span = "\n".join(lines[passage.first_line - 1 : passage.last_line])
        assert passage.text in span
        assert 0 < len(passage.text) <= 1200
        assert not "".join(lines[reached : passage.first_line - 1]).strip()
        reached = passage.last_line
    assert not "".join(lines[reached:]).strip()
