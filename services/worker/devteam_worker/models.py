"""Names of models: what an alias stands for, and which names a pattern covers."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

DEFAULT_ALIASES: Mapping[str, str] = MappingProxyType(
    {"opus": "claude-opus-5-5", "sonnet": "claude-sonnet-5-5", "haiku": "claude-haiku-5-5"}
)


def resolve(model: str, aliases: Mapping[str, str] = DEFAULT_ALIASES) -> str:
    """The name that an alias stands for; any other name as it is."""
    return aliases.get(model, model)


def matches(patterns: Iterable[str], model: str) -> bool:
    """Whether a task's model, as the task names it, is covered by a pattern ("opus", "ollama:*").

    Letter case matters, and no pattern at all covers every model: both as the Router sees it.
    """
    names = tuple(patterns)
    return not names or any(fnmatchcase(model, pattern) for pattern in names)
