"""A compose file as `docker compose` reads it: merged, with its variables filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

# What deploy/compose.yaml asks for, named as deploy/compose/secrets.sh writes it.
TOLD = {
    "DEVTEAM_UID": "1000",
    "DEVTEAM_GID": "1000",
    "DEVTEAM_RETENTION_DAYS": "90",
    "POSTGRES_PASSWORD": "a",
    "DEVTEAM_DB_PASSWORD": "b",
    "TEMPORAL_DB_PASSWORD": "c",
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose_file(path: Path, environ: Mapping[str, str]) -> Any:
    """The file's content. Raises LookupError for a variable that has to be set and is not."""
    return _filled(YAML(typ="safe").load(path), environ)


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _filled(inner, environ) for key, inner in value.items()}
        case list():
            return [_filled(inner, environ) for inner in value]
        case str():
            return _VARIABLE.sub(lambda found: _one(found, environ), value)
    return value


def _one(found: re.Match[str], environ: Mapping[str, str]) -> str:
    name, otherwise, text = found.groups()
    if set_to := environ.get(name):
        return set_to
    if otherwise == "-":
        return str(text)
    raise LookupError(f"{name} is not set: {text or 'and has no default'}")
