"""Settings that a worker has from the mesh that it joined."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pydantic import BaseModel

from devteam_worker.membership import Membership
from devteam_worker.settings_layers import Layer


def membership_layer(model: type[BaseModel], membership: Membership | None, said: Sequence[Layer]) -> Layer:
    """What a worker has from the mesh that it joined; nothing where what was `said` names another mesh.

    Its key is for that mesh alone: another one must not see it.
    """
    if membership is None or _mesh_named(said) not in ("", membership.server):
        return {}
    known = {field.alias for field in model.model_fields.values()}
    layer = {
        "apiUrl": membership.server,
        "apiKey": membership.key,
        "id": membership.worker_id,
        "queues": [{"name": queue} for queue in membership.queues],
        "caFile": membership.ca,
    }
    return {word: value for word, value in layer.items() if value and word in known}


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, without anybody's password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else ""


def _mesh_named(said: Sequence[Layer]) -> str:
    """The mesh that is named first, by its address or in that of the beats; empty when none is."""
    for word, section in (("apiUrl", ""), ("endpoint", "heartbeat")):
        for layer in said:
            value = (layer.get(section) if section else layer) or {}
            url = value.get(word) if isinstance(value, Mapping) else None
            if isinstance(url, str) and url:
                return origin_of(url) if section else url.rstrip("/")
    return ""
