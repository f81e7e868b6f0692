"""Logging that is as it was, once a block is over."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def logging_as_before() -> Iterator[None]:
    """However what runs in the block has lines written, and to a stream of its own perhaps, which ends with it."""
    known, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.configure(**known)
        root.handlers = handlers
        root.setLevel(level)
