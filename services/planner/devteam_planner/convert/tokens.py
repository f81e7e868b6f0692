"""Tokens as text, and as fewer batches."""

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from devteam.v1 import run_pb2
from devteam_planner.domain import Batch
from devteam_planner.ports import Unreadable


def text_of(payloads: Iterable[bytes]) -> str:
    """The output that consecutive batches make: their text tokens, one after the other."""
    return "".join(
        token.text for payload in payloads for token in run_pb2.Tokens.FromString(payload).tokens if token.text
    )


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
