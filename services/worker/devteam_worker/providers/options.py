"""A task's own options for its provider."""

from collections.abc import Mapping
from typing import Any


def plain(value: object) -> Any:
    """The value with whole numbers as such, at any depth: all numbers travelled as floats."""
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
