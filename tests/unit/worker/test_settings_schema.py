"""The JSON Schema of the worker file."""

from pathlib import Path
from typing import Any

import pytest
from devteam_worker.settings import load_settings
from devteam_worker.settings_schema import schema, schema_text
from ruamel.yaml import YAML

from devteam.mesh.errors import InvalidInput

PUBLISHED = Path(__file__).parents[3] / "docs" / "worker.schema.json"

GOOD = """\
worker:
  id: desk
  queues: [{name: gpu-queue, concurrency: 4, models: [opus, "ollama:*"]}]
  resources: {gpu: true, ramGB: 24}
  labels: {team: search}
  dataSources: [wiki, {name: papers, path: /srv/papers}]
  mcpServers: {clock: {command: uvx, args: [mcp-server-time]}}
  logLevel: DEBUG
"""
BAD = {
    "unknown key": "worker: {concurency: 4}",
    "unknown key of a section": "worker: {mcpServers: {clock: {comand: uvx}}}",
    "unknown section": "wrker: {}",
    "out of bounds": "worker: {weight: 1000}",
    "a secret": "worker: {apiKey: k}",
    "no number": "worker: {concurrency: many}",
    "no level": "worker: {logLevel: LOUD}",
}


def violations(yaml: str) -> list[str]:
    # An MCP client brings it along; nothing of ours needs it.
    jsonschema: Any = pytest.importorskip("jsonschema", reason="checks files against the schema")
    content = YAML(typ="safe", pure=True).load(yaml)
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(content)]


def test_the_published_schema_is_fresh() -> None:
    """Else: devteam-worker config schema > docs/worker.schema.json."""
    assert PUBLISHED.read_text() == schema_text()


def test_what_a_worker_takes_the_schema_takes(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text(GOOD)
    assert load_settings(tmp_path / "worker.yaml", {}, {}).worker_id == "desk"
    assert violations(GOOD) == []


@pytest.mark.parametrize("yaml", BAD.values(), ids=BAD.keys())
def test_what_a_worker_refuses_the_schema_refuses(tmp_path: Path, yaml: str) -> None:
    (tmp_path / "worker.yaml").write_text(yaml)
    with pytest.raises(InvalidInput):
        load_settings(tmp_path / "worker.yaml", {}, {})
    assert violations(yaml) != []
