"""Tokens as text."""

from collections.abc import Iterable

from devteam.v1 import run_pb2


def text_of(payloads: Iterable[bytes]) -> str:
    """The output that consecutive batches make: their text tokens, one after the other."""
    return "".join(
        token.text for payload in payloads for token in run_pb2.Tokens.FromString(payload).tokens if token.text
    )
