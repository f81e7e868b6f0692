"""The JSON Schema of the worker file, for editors and for whoever checks files before they reach a machine."""

import json
from typing import Any

from devteam_worker.settings import WorkerSettings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What a worker file may hold: keys in the file's spelling, and no secret."""
    worker = WorkerSettings.model_json_schema(by_alias=True)
    worker["description"] = "Everything a worker is told."
    definitions = worker.pop("$defs")
    del worker["properties"]["apiKey"]
    # Left out, it is made of the host's name: no id that a file could hold.
    del worker["properties"]["id"]["default"]
    sources = worker["properties"]["dataSources"]
    sources["items"] = {"anyOf": [{"type": "string"}, sources["items"]]}
    return {
        "$schema": _DIALECT,
        "description": "A DevTeam worker file.",
        "type": "object",
        "properties": {"worker": _untitled(worker)},
        "additionalProperties": False,
        "$defs": {name: _untitled(section) for name, section in definitions.items()},
    }


def _untitled(value: Any) -> Any:
    """Without the titles that pydantic makes of names: an editor would show them instead of the keys."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if key != "title" or not isinstance(item, str)}
    return [_untitled(item) for item in value] if isinstance(value, list) else value


def schema_text() -> str:
    """The schema as its file in the docs has it."""
    return json.dumps(schema(), indent=2) + "\n"
