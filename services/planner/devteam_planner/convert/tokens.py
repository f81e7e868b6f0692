"""Tokens as text, and as fewer batches."""

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from devteam.v1 import run_pb2
from devteam_planner.domain import Batch
from devteam_planner.ports import Unreadable


def text_of(batches: Iterable[Batch], *, after: int) -> str:
    """The output that batches in their order make: their text tokens after seq `after`, one after the other.

    Batches may begin before the one before them ends: two drivers got the same tokens cut otherwise.
    """
    texts: list[str] = []
    for batch in batches:
        tokens = run_pb2.Tokens.FromString(batch.payload).tokens
        had = max(0, after + 1 - batch.first_seq)
        texts += [token.text for token in (tokens[had:] if had else tokens) if token.text]
        after = batch.last_seq
    return "".join(texts)


def joined(batches: Sequence[Batch]) -> bytes:
    """The payload of one batch that holds the tokens of these, each of which follows the one before.

    Raises Unreadable where a payload is not what its batch says.
    """
    first, *others = map(_tokens_of, batches)
    for other in others:
        first.tokens.extend(other.tokens)
    return first.SerializeToString()


def _tokens_of(batch: Batch) -> run_pb2.Tokens:
    try:
        tokens = run_pb2.Tokens.FromString(batch.payload)
    except DecodeError as error:
        raise Unreadable(f"{batch.first_seq}-{batch.last_seq} are no tokens") from error
    if len(tokens.tokens) != batch.last_seq + 1 - batch.first_seq:
        raise Unreadable(f"{batch.first_seq}-{batch.last_seq} are {len(tokens.tokens)} tokens")
    return tokens
