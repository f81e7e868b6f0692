"""What is in the container image, as CycloneDX 1.6: the same lock makes the same file."""

import json
import tomllib
import uuid
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from scripts.locked import PROJECT, ROOT, Pinned

_NAMESPACE = uuid.UUID("6c1b1c7e-5d0a-4d5f-9a39-6b5f0f2f3c11")


def bom(pins: Mapping[str, Pinned], needs: Mapping[str, tuple[str, ...]]) -> str:
    """The bill of materials: each distribution with its hashes and its licence, and who needs whom."""
    refs = {name: _purl(name, _version() if name == PROJECT else pins[name].version) for name in needs}
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _project(refs[PROJECT])},
        "components": [_component(pins[name], refs[name]) for name in needs if name != PROJECT],
        "dependencies": [
            {"ref": refs[name], "dependsOn": [refs[need] for need in needed]} for name, needed in needs.items()
        ],
    }
    # Made of the content: no clock and no chance.
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))}"
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _project(ref: str) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": ref,
        "name": PROJECT,
        "version": _version(),
        "purl": ref,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _component(pinned: Pinned, ref: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": ref,
        "name": pinned.name,
        "version": pinned.version,
        "purl": ref,
        # One for each of its files: which of them is installed depends on the image's platform.
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pinned.hashes],
        **_licences(pinned.name),
    }


def _licences(name: str) -> dict[str, Any]:
    """As its metadata says it; nothing where that says nothing short."""
    told = metadata.metadata(name)
    if "License-Expression" in told:
        return {"licenses": [{"expression": told["License-Expression"]}]}
    named = _classified(told.get_all("Classifier") or ())
    if not named and "License" in told and "\n" not in (text := told["License"].strip()):
        named = [text]
    return {"licenses": [{"license": {"name": text}} for text in named]} if named else {}


def _classified(classifiers: Iterable[str]) -> list[str]:
    found = (line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::"))
    return sorted(set(found) - {"OSI Approved"})


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
