"""The folder that Envoy starts in: config/ with its files, run/ for its socket."""

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devteam_cli.gateway import secrets
from devteam_cli.gateway.clusters import clusters
from devteam_cli.gateway.guard import guard, rate
from devteam_cli.gateway.listener import listener
from devteam_cli.gateway.place import Place
from devteam_cli.gateway.resources import Resource

_FILES = Path(__file__).with_name("files")
_SAME = ("devteam.binpb", "envoy.yaml", "front.yaml")
# Where traces go into front.yaml.
_TRACING = b"    # Spans: "
_HEADING = b"# Written by `devteam gateway config`.\n"


@dataclass(frozen=True, slots=True)
class GatewayFolder:
    """Where everything lies."""

    path: Path

    @property
    def shared(self) -> Path:
        """Files that are the same in every place."""
        return self.path / "shared"

    @property
    def config(self) -> Path:
        """Files of this place."""
        return self.path / "config"

    @property
    def admin(self) -> Path:
        """The socket of Envoy's administration."""
        return self.path / "run" / "admin.sock"


def write(place: Place, path: Path) -> GatewayFolder:
    """Write all files of a place. An Envoy that runs on them follows, and cuts no stream."""
    folder = GatewayFolder(path)
    for part in (folder.shared, folder.config, folder.admin.parent):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in shared():
        _replace(folder.shared / name, content)
    for name, content in of_place(place):
        _replace(folder.config / name, content)
    return folder


def shared() -> Iterator[tuple[str, bytes]]:
    """The files that are the same in every place."""
    for name in _SAME:
        yield name, (_FILES / name).read_bytes()
    before, mark, after = (_FILES / "front.yaml").read_bytes().partition(_TRACING)
    yield "traced.yaml", before + (_FILES / "tracing.yaml").read_bytes() + mark + after


def of_place(place: Place) -> Iterator[tuple[str, bytes]]:
    """The files that differ by place: what is asked for before who asks."""
    for name, resources in _resources(place):
        yield name, _HEADING + _written({"resources": list(resources)})


def _resources(place: Place) -> Iterator[tuple[str, Iterable[Resource]]]:
    yield "guard.yaml", [guard(place)]
    yield "rate.yaml", [rate(place)]
    if place.certificate:
        yield secrets.CERTIFICATE, [secrets.certificate(secrets.CERTIFICATE, place.certificate)]
    if place.upstream and place.upstream.ca:
        yield secrets.UPSTREAM_CA, [secrets.authority(secrets.UPSTREAM_CA, place.upstream.ca)]
    if place.upstream and place.upstream.cert:
        yield secrets.UPSTREAM_CERTIFICATE, [secrets.certificate(secrets.UPSTREAM_CERTIFICATE, place.upstream)]
    yield "clusters.yaml", clusters(place)
    yield "listeners.yaml", [listener(place)]


def _written(content: Mapping[str, Any]) -> bytes:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda _: True
    yaml.indent(sequence=2)
    text = io.BytesIO()
    yaml.dump(content, text)
    return text.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Envoy looks at a file when it is moved to its place, never while it is written."""
    new = path.with_name(f".{path.name}")
    new.write_bytes(content)
    os.replace(new, path)  # noqa: PTH105 - Path.replace says less
