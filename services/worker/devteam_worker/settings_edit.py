"""Changes one setting of a worker file, and leaves its comments and its order as they are."""

import io
import shutil
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from devteam.mesh.errors import InvalidInput, Violation
from devteam_worker.settings import load_settings
from devteam_worker.settings_file import read_file


def set_in_file(path: Path, key: str, text: str) -> None:
    """Set `key` (dots lead into sections) under `worker:` to what `text` means in YAML; may begin the file.

    The file is replaced as a whole, and only by one that a worker would accept. Raises InvalidInput.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = _content(yaml, path)
    _put(content, ["worker", *key.split(".")], _value(key, text))
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(_dumped(yaml, content), encoding="utf-8")
        load_settings(draft, {}, {})
        if path.exists():
            shutil.copymode(path, draft)
        draft.replace(path)
    except OSError as error:
        raise InvalidInput(Violation("", "FILE_UNWRITABLE", f"{path}: cannot be written ({error.strerror})")) from None
    finally:
        draft.unlink(missing_ok=True)


def _content(yaml: YAML, path: Path) -> MutableMapping[str, Any]:
    # Read with distrust first: the reader that keeps comments has no bounds.
    if not path.exists() or not read_file(path):
        return {}
    content: MutableMapping[str, Any] = yaml.load(path.read_text(encoding="utf-8"))
    return content


def _value(key: str, text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise InvalidInput(Violation(key, "YAML_FORMAT", f"{text!r} is not YAML")) from None


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
