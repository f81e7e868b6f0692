"""The worker's YAML file, read with distrust."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from devteam.mesh.errors import InvalidInput, Violation

_MAX_BYTES = 1024 * 1024
_MAX_ALIASES = 50
_MAX_DEPTH = 32


def read_file(path: Path) -> Mapping[Any, Any]:
    """The mapping that the file holds; empty for an empty file.

    Raises InvalidInput for a file that cannot be read, is over 1 MiB, is no YAML, says a key twice, nests deeper than
    32 levels, has more than 50 aliases, or holds something else than a mapping.
    """
    text = _text(path)
    try:
        _refuse_bombs(text)
        content = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise _refused("YAML_FORMAT", f"{path}: {_problem(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise _refused("YAML_FORMAT", f"{path}: must hold a mapping that begins with `worker:`")
    return content


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise _refused("FILE_TOO_LARGE", f"{path}: is larger than 1 MiB")
        return data.decode()
    except OSError as error:
        raise _refused("FILE_UNREADABLE", f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _refused("YAML_FORMAT", f"{path}: is not UTF-8") from None


def _refuse_bombs(text: str) -> None:
    """Stops at the first event too many: the scanner's time grows with the square of the depth."""
    depth = aliases = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        aliases += isinstance(event, AliasEvent)
        if depth > _MAX_DEPTH or aliases > _MAX_ALIASES:
            raise _refused(
                "YAML_FORMAT", f"the file has more than {_MAX_DEPTH} levels or more than {_MAX_ALIASES} YAML aliases"
            )


def _problem(error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return "is not YAML"
    mark = error.problem_mark
    # What follows could be the value of the key, which is nobody's business.
    problem = str(error.problem).partition(" with value")[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _refused(reason: str, message: str) -> InvalidInput:
    return InvalidInput(Violation("", reason, message))
