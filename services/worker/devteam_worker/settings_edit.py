"""Changes one setting of a worker file, and leaves its comments and its order as they are."""

import fcntl
import io
import os
import re
import shutil
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from devteam.mesh.errors import InvalidInput, Violation
from devteam_worker.settings import load_settings
from devteam_worker.settings_file import read_file

# Where the owner chooses the names, which may have dots, and where values are text, whatever they look like.
_OWN_NAMES = re.compile(r"(labels|aliases|mcpServers\.[^.]+\.(?:env|headers))\.(.+)", re.DOTALL)


def set_in_file(path: Path, key: str, text: str) -> None:
    """Set `key` (dots lead into sections) under `worker:` to what `text` means in YAML; may begin the file.

    The file is replaced as a whole, and only by one that a worker would accept; a link to it stays. Of several that
    want to change it at once, one waits for the other. Raises InvalidInput.
    """
    # What a link leads to is the file; the link itself stays.
    file = path.resolve()
    try:
        with _alone(file):
            _replace(file, _edited(file, key, text))
    except OSError as error:
        raise InvalidInput(Violation("", "FILE_UNWRITABLE", f"{path}: cannot be written ({error.strerror})")) from None


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Nobody else changes the file while the block runs. What is locked stays: removed, it would let two in."""
    with file.with_name(f".{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        load_settings(draft, {}, {})
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _edited(file: Path, key: str, text: str) -> str:
    """What the file will hold."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    before = _text(file)
    content = yaml.load(before)
    # Without a setting there is nothing that its comments could belong to: they stay as they are.
    comments = f"{before.rstrip()}\n" if content is None and before.strip() else ""
    content = {} if content is None else content
    _put(content, ["worker", *_way(key)], _value(key, text))
    return comments + _dumped(yaml, content)


def _text(file: Path) -> str:
    if not file.exists():
        return ""
    # Read with distrust first: the reader that keeps comments has no bounds.
    read_file(file)
    return file.read_text(encoding="utf-8")


def _way(key: str) -> list[str]:
    own = _OWN_NAMES.fullmatch(key)
    return [*own[1].split("."), own[2]] if own else key.split(".")


def _value(key: str, text: str) -> Any:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise InvalidInput(Violation(key, "YAML_FORMAT", f"{text!r} is not YAML")) from None
    return text if _OWN_NAMES.fullmatch(key) and not isinstance(value, str) else value


def _put(content: MutableMapping[str, Any], path: list[str], value: Any) -> None:
    *sections, name = path
    for section in sections:
        if content.get(section) is None:
            content[section] = {}
        content = content[section]
        if not isinstance(content, MutableMapping):
            raise InvalidInput(Violation(".".join(path), "INVALID_VALUE", f"{section} is no section"))
    content[name] = value


def _dumped(yaml: YAML, content: MutableMapping[str, Any]) -> str:
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()
