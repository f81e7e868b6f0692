"""What becomes of the words that a model looks for."""

import sqlite3
from collections.abc import Iterator

import pytest
from devteam_worker.documents.query import queries
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def words() -> Iterator[sqlite3.Connection]:
    """Some text to search."""
    store = sqlite3.connect(":memory:")
    store.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61 remove_diacritics 2')")
    store.execute("INSERT INTO words VALUES ('Spring tides near Saint-Malo don''t wait')")
    yield store
    store.close()


def test_all_words_are_asked_for_first_then_any() -> None:
    assert list(queries("spring tides")) == ['"spring" AND "tides"', '"spring" OR "tides"']


def test_one_word_is_asked_for_once() -> None:
    assert list(queries("Tides tides, TIDES!")) == ['"tides"']


def test_words_that_stand_everywhere_are_left_out() -> None:
    assert next(queries("What is the cause of tides?")) == '"cause" AND "tides"'


def test_but_for_a_query_of_nothing_else() -> None:
    assert next(queries("the who")) == '"the" AND "who"'


@pytest.mark.parametrize("text", ["", " ", "🌊", "\"'*()-", "_ __"])
def test_without_a_word_there_is_no_query(text: str) -> None:
    assert list(queries(text)) == []


def test_a_whole_prompt_is_cut_to_its_first_words() -> None:
    assert next(queries(" ".join(f"w{n}" for n in range(100)))).count("AND") == 31


@pytest.mark.parametrize("mark", ["'", "_"])
def test_a_word_is_of_three_parts_at_most(mark: str) -> None:
    """SQLite takes each part for a word, and a phrase of thousands costs it seconds."""
    assert next(queries(mark.join("abcdefgh"))) == f'"a{mark}b{mark}c" AND "d{mark}e{mark}f" AND "g{mark}h"'


def test_no_more_is_looked_at_than_words_can_come_of() -> None:
    assert next(queries("tides " * 1000 + "moon")) == '"tides"'


@pytest.mark.parametrize(
    "text",
    [
        'spring AND NOT "tides',
        "NEAR(tides, 5)",
        "text: tides",
        "-tides",
        "tides*",
        "^tides",
        "{text}: tides",
        "tides'); DROP TABLE words; --",
        "don't",
        "Saint-Malo",
        "sprîng",
    ],
)
def test_operators_are_but_words(words: sqlite3.Connection, text: str) -> None:
    found = [
        words.execute("SELECT text FROM words WHERE words MATCH ?", (query,)).fetchall() for query in queries(text)
    ]
    assert any(found)


@given(st.text(max_size=200) | st.text(st.sampled_from("ab\"'*()-:^{}+ NEARANDOT\0"), max_size=40))
def test_no_text_is_an_error_of_syntax(words: sqlite3.Connection, text: str) -> None:
    for query in queries(text):
        words.execute("SELECT count(*) FROM words WHERE words MATCH ?", (query,)).fetchall()
