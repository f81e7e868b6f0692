import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from devteam_worker.convert.router import word_to_proto
from devteam_worker.domain import AttemptId
from devteam_worker.providers.base import Text, Thinking, Token, ToolCall, ToolResult
from devteam_worker.transcript import MAX_PIECE, Transcript, pieces_of, size_of
from devteam_worker.words import Spoken
from hypothesis import given
from hypothesis import strategies as st

MIB = 1024 * 1024
ATTEMPT = AttemptId("t" * 255, 2**31)


def said(*words: str, window: int = MIB) -> Transcript:
    transcript = Transcript(window)
    for word in words:
        transcript.say(Text(word))
    return transcript


def words(batch: tuple[int, Sequence[Token]]) -> tuple[int, list[str]]:
    first_seq, tokens = batch
    return first_seq, [token.text for token in tokens if isinstance(token, Text)]


def test_all_that_waits_goes_out_as_one_batch() -> None:
    transcript = said("a", "b", "c")
    assert transcript.unsent
    assert words(transcript.take()) == (1, ["a", "b", "c"])
    assert not transcript.unsent


def test_what_is_said_later_follows_on() -> None:
    transcript = said("a", "b")
    transcript.take()
    transcript.say(Text("c"))
    assert words(transcript.take()) == (3, ["c"])


def test_a_batch_has_256_tokens_at_most() -> None:
    transcript = said(*(str(number) for number in range(600)))
    assert [(first, len(tokens)) for first, tokens in (transcript.take() for _ in range(3))] == [
        (1, 256),
        (257, 256),
        (513, 88),
    ]


@pytest.mark.parametrize(
    ("length", "count", "batches"), [(100, 300, 2), (4_080, 256, 1), (4_090, 256, 2), (16_384, 128, 3), (400_000, 5, 3)]
)
def test_a_batch_has_one_mib_at_most_on_the_wire(length: int, count: int, batches: int) -> None:
    """Whatever the size of its tokens; and no more batches than that takes."""
    transcript = said(*["é" * (length // 2)] * count)
    sizes = []
    while transcript.unsent:
        sizes.append(_bytes_of(*transcript.take()))
    assert max(sizes) <= MIB
    assert len(sizes) == batches


def test_a_token_larger_than_a_batch_goes_out_by_itself() -> None:
    transcript = said("a", "b" * 2 * MIB, "c")
    assert [len(transcript.take()[1]) for _ in range(3)] == [1, 1, 1]
    assert not transcript.unsent


@pytest.mark.parametrize("kind", [Text, Thinking])
def test_long_text_is_cut_into_pieces_that_make_it_up(kind: type[Text] | type[Thinking]) -> None:
    whole = "x€" * MAX_PIECE + "end"
    pieces = list(pieces_of(kind(whole)))
    assert {type(piece) for piece in pieces} == {kind}
    assert "".join(piece.text for piece in pieces if isinstance(piece, kind)) == whole
    assert max(size_of(piece) for piece in pieces) <= 64 * 1024 + 8


@pytest.mark.parametrize("token", [Text(""), Text("x" * MAX_PIECE), ToolCall("c", "n", "x" * MIB)])
def test_what_is_short_or_no_text_stays_whole(token: Token) -> None:
    assert list(pieces_of(token)) == [token]


@pytest.mark.parametrize(
    "token",
    [
        Text(""),
        Text("é" * 100_000),
        Thinking("hm"),
        ToolCall("call-é", "search", '{"q": "é"}' * 30_000),
        ToolResult("call-1", "é" * 1_000_000, is_error=True),
    ],
)
def test_a_token_is_counted_with_no_less_than_its_bytes(token: Token) -> None:
    """And with a few bytes more at most."""
    alone = _bytes_of(1, [token]) - _bytes_of(1, [])
    assert alone <= size_of(token) <= alone + 24


async def test_room_waits_while_more_than_the_window_is_unacknowledged() -> None:
    transcript = Transcript(window_bytes=2 * size_of(Text("a")))
    transcript.say(Text("a"))
    transcript.say(Text("b"))
    await transcript.room()

    transcript.say(Text("c"))
    waiting = asyncio.create_task(transcript.room())
    transcript.take()
    await asyncio.sleep(0)
    assert not waiting.done()

    transcript.acknowledge(1)
    await asyncio.wait_for(waiting, 60)


async def test_a_wider_window_makes_room_at_once() -> None:
    transcript = said("abc", window=1)
    waiting = asyncio.create_task(transcript.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    transcript.widen(MIB)
    await asyncio.wait_for(waiting, 60)


def test_what_is_acknowledged_is_forgotten() -> None:
    transcript = said("a", "b", "c")
    transcript.take()
    transcript.acknowledge(2)
    assert (transcript.first_kept, transcript.last_seq) == (3, 3)
    transcript.rewind(0)
    assert words(transcript.take()) == (3, ["c"])


@pytest.mark.parametrize("seq", [0, 1, 2])
def test_an_acknowledgement_that_comes_late_changes_nothing(seq: int) -> None:
    transcript = said("a", "b", "c")
    transcript.acknowledge(2)
    transcript.acknowledge(seq)
    assert (transcript.first_kept, transcript.last_seq) == (3, 3)


def test_an_acknowledgement_of_what_was_never_said_stops_at_the_end() -> None:
    transcript = said("a")
    transcript.acknowledge(5)
    assert (transcript.first_kept, transcript.last_seq, transcript.unsent) == (2, 1, False)
    transcript.say(Text("b"))
    assert words(transcript.take()) == (2, ["b"])


def test_what_another_router_stored_before_it_was_sent_here_is_not_sent() -> None:
    transcript = said("a", "b", "c")
    transcript.rewind(0)
    transcript.acknowledge(2)
    assert words(transcript.take()) == (3, ["c"])


@pytest.mark.parametrize(("after_seq", "again"), [(0, ["a", "b", "c"]), (2, ["c"]), (3, []), (9, [])])
def test_a_rewind_sends_again_exactly_what_comes_after(after_seq: int, again: list[str]) -> None:
    transcript = said("a", "b", "c")
    transcript.take()
    transcript.rewind(after_seq)
    assert transcript.unsent is bool(again)
    assert words(transcript.take())[1] == again


class Receiver:
    """Applies batches by seq: what it has is ignored, what leaves a gap is refused."""

    def __init__(self) -> None:
        self.held: list[Token] = []

    def take(self, first_seq: int, tokens: Sequence[Token]) -> None:
        known = len(self.held) + 1 - first_seq
        if known >= 0:
            self.held += tokens[known:]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from([1, 1, 1, 300, 16_384, 700_000])),
        st.tuples(st.sampled_from(["send", "arrive", "break"]), st.just(0)),
        st.tuples(st.sampled_from(["store", "store again", "resume"]), st.integers(0, 100)),
    ),
    max_size=80,
)


@given(STEPS)
def test_nothing_is_lost_and_nothing_doubled_whatever_happens_on_the_way(steps: list[tuple[str, int]]) -> None:
    """Batches arrive late, or never; acknowledgements come in any order; the far end asks for parts again."""
    transcript, receiver = Transcript(MIB), Receiver()
    everything: list[Token] = []
    wire: deque[tuple[int, Sequence[Token]]] = deque()
    stored = 0
    for step, number in steps:
        match step:
            case "say":
                everything.append(Text(f"{len(everything)} " + "x" * number))
                transcript.say(everything[-1])
            case "send" if transcript.unsent:
                wire.append(transcript.take())
            case "arrive" if wire:
                receiver.take(*wire.popleft())
            case "break":
                wire.clear()
                transcript.rewind(len(receiver.held))
            case "store":
                stored += (len(receiver.held) - stored) * number // 100
                transcript.acknowledge(stored)
            case "store again":
                transcript.acknowledge(stored * number // 100)
            case "resume":
                transcript.rewind(stored + (len(receiver.held) - stored) * number // 100)
        assert transcript.last_seq == len(everything)
        assert transcript.first_kept == stored + 1

    transcript.rewind(len(receiver.held))
    while transcript.unsent:
        receiver.take(*transcript.take())
    assert receiver.held == everything


def _bytes_of(first_seq: int, tokens: Sequence[Token]) -> int:
    return word_to_proto(Spoken(ATTEMPT, first_seq, tokens)).tokens.ByteSize()
