"""The settings that hold, as the worker's file would say them, and where each of them comes from."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devteam.mesh.errors import NotFound
from devteam.mesh.validation import Violations
from devteam_worker.hardware import Hardware
from devteam_worker.membership import Membership
from devteam_worker.settings import WorkerSettings, load_settings
from devteam_worker.settings_file import read_file
from devteam_worker.settings_joined import membership_layer
from devteam_worker.settings_layers import ENVIRONMENT, Layer, environment_layer, file_layer
from devteam_worker.timings import of_the_mesh

DEFAULT = "default"
DETECTED = "detected"
JOINED = "devteam-worker join"

_SET = "set"
# Whatever stands there may be a secret.
_SECRETS = re.compile(r"apiKey|mcpServers\.[^.]+\.(args|(env|headers)\..*)")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?<=\?)\S+")
_FOUND = {
    ("resources", "cpuCores"): "cpu_cores",
    ("resources", "ramGB"): "ram_gb",
    ("resources", "gpu"): "gpu",
    ("resources", "gpuModel"): "gpu_model",
    ("location", "host"): "host",
}

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting. A secret's value is only the word "set"."""

    key: str
    value: object
    origin: str


def shown(
    path: Path | None, environ: Mapping[str, str], found: Hardware, membership: Membership | None = None
) -> list[Shown]:
    """All settings of a worker with this file, this environment, this machine and this mesh. Raises InvalidInput."""
    settings = load_settings(path, {}, environ, membership)
    sources = _Sources(path, environ, membership)
    values = settings.model_dump(by_alias=True, mode="json")
    values["apiKey"] = settings.api_key.get_secret_value()
    return [_shown(way, value, sources, found) for way, value in _leaves(values)]


def only(settings: list[Shown], key: str) -> list[Shown]:
    """The setting of that key, or all that lie in the section of that name. Raises NotFound."""
    some = [item for item in settings if item.key == key or item.key.startswith(f"{key}.")]
    if some:
        return some
    words = {item.key.lower(): item.key for item in settings}
    words |= {item.key.lower().partition(".")[0]: item.key.partition(".")[0] for item in settings}
    close = difflib.get_close_matches(key.lower(), list(words), n=1)
    hint = f"; did you mean {words[close[0]]}?" if close else "; `devteam-worker config show` lists them all"
    raise NotFound("setting", key, message=f"no setting is called {key!r}{hint}")


def _leaves(values: Mapping[str, Any], way: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*way, key))
        else:
            yield (*way, key), value


class _Sources:
    """Who says what: the environment before the file, and that before the mesh that was joined."""

    def __init__(self, path: Path | None, environ: Mapping[str, str], membership: Membership | None) -> None:
        self._path = path
        self._file = file_layer(WorkerSettings, read_file(path), Violations()) if path else {}
        self._environ = environment_layer(environ, Violations())
        self._joined = membership_layer(WorkerSettings, membership, (self._environ, self._file))
        self._names = [(words, name) for name, words in ENVIRONMENT.items() if environ.get(name, "").strip()]

    def origin(self, way: _Path) -> str:
        """Where a setting comes from."""
        if name := self._variable(way):
            return f"environment variable {name}"
        if _has(self._file, way):
            return f"file {self._path}" + (" (the mesh's holds instead)" if of_the_mesh(".".join(way)) else "")
        if way == ("apiUrl",) and _has(self._file, ("heartbeat", "endpoint")):
            return f"file {self._path} (heartbeat.endpoint)"
        if _has(self._joined, way):
            return JOINED
        return DETECTED if way == ("id",) else DEFAULT

    def _variable(self, way: _Path) -> str:
        if way == ("queues",):
            return next((name for words, name in self._names if words in {("queue",), ("models",)}), "")
        if not _has(self._environ, way):
            return ""
        return next(name for words, name in self._names if words == way[: len(words)])


def _shown(way: _Path, value: Any, sources: _Sources, found: Hardware) -> Shown:
    origin = sources.origin(way)
    if origin == DEFAULT and way in _FOUND and value in {None, ""}:
        value, origin = getattr(found, _FOUND[way]), DETECTED
    return Shown(".".join(way), harmless(".".join(way), value), origin)


def _has(layer: Layer, way: _Path) -> bool:
    section: Any = layer
    for word in way:
        if not isinstance(section, Mapping) or word not in section:
            return False
        section = section[word]
    return True


def harmless(key: str, value: Any) -> Any:
    """What may be shown of a setting: of a secret, that it is set; of a URL, no password and no query."""
    if _SECRETS.fullmatch(key):
        return _SET if value else ""
    if isinstance(value, str):
        return _QUERY.sub("…", _PASSWORD.sub("", value)) if "://" in value else value
    if isinstance(value, Mapping):
        return {name: harmless(name, item) for name, item in value.items()}
    return [harmless(key, item) for item in value] if isinstance(value, list) else value
