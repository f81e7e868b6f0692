"""Ids that a test can foretell."""

import itertools


class CountingIds:
    """prefix-1, prefix-2, ... over all prefixes."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"
