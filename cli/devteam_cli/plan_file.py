"""Plan files: YAML or JSON with the shape that `devteam.plans` reads."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from devteam.errors import InvalidInput, Violation
from devteam.plans import PlanFile, plan_from_mapping

_MAX_BYTES = 1024 * 1024
_MAX_ALIASES = 50
# Of lists and keys in each other; a plan has six.
_MAX_DEPTH = 50


def read_plan(path: str) -> PlanFile:
    """The plan in a file; "-" reads stdin. Raises InvalidInput with every mistake."""
    text = _text(path)
    return plan_from_mapping(_json(path, text) if path.endswith(".json") else _yaml(path, text))


def _text(path: str) -> str:
    try:
        data = sys.stdin.buffer.read(_MAX_BYTES + 1) if path == "-" else _head(Path(path))
        text = data.decode()
    except OSError as error:
        raise _refused("FILE_UNREADABLE", f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refused("FILE_ENCODING", f"{path} is not UTF-8 text") from None
    if len(data) > _MAX_BYTES:
        raise _refused("FILE_TOO_LARGE", f"{path} is larger than 1 MiB")
    return text


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


def _json(path: str, text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        raise _refused("FILE_SYNTAX", f"{path}:{error.lineno}:{error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError as error:
        raise _refused("FILE_SYNTAX", f"{path}: {error}") from None


def _without_doubles(items: list[tuple[str, object]]) -> Mapping[str, object]:
    read = dict(items)
    if len(read) < len(items):
        raise ValueError(f"a key is given twice among {', '.join(key for key, _ in items)}")
    return read


def _yaml(path: str, text: str) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="safe", pure=True)
    try:
        _check_size(path, yaml.parse(text))
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise _refused("FILE_SYNTAX", f"{place}: {error.problem or error.context}") from None
    except YAMLError as error:
        raise _refused("FILE_SYNTAX", f"{path}: {error}") from None


def _check_size(path: str, events: Iterable[object]) -> None:
    """Refuse what would take for ever to walk, as soon as it shows: aliases multiply, and depth slows the parser."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    aliases = depth = 0
    for event in events:
        aliases += isinstance(event, AliasEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if aliases > _MAX_ALIASES:
            raise _refused("FILE_TOO_LARGE", f"{path} has more than {_MAX_ALIASES} aliases")
        if depth > _MAX_DEPTH:
            raise _too_deep(path)


def _too_deep(path: str) -> InvalidInput:
    return _refused("FILE_SYNTAX", f"{path} has lists in lists, or keys in keys, far deeper than a plan is")


def _refused(reason: str, message: str) -> InvalidInput:
    return InvalidInput(Violation("", reason, message))
