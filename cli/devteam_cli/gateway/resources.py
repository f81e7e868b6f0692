"""What Envoy's files are made of: resources with their types."""

from typing import Any, Final, TypeAlias

Resource: TypeAlias = dict[str, Any]

_TYPES: Final = "type.googleapis.com/envoy"


def typed(kind: str, **fields: Any) -> Resource:
    """A message of a type, named from "envoy." on."""
    return {"@type": f"{_TYPES}.{kind}", **fields}


def extension(name: str, config: Resource) -> Resource:
    """The configuration of one filter, under the name that front.yaml asks for it by."""
    return typed("config.core.v3.TypedExtensionConfig", name=name, typed_config=config)


def watched(name: str, folder: str = "config") -> Resource:
    """Where a file is found, and followed when it is replaced."""
    path = {"path": f"{folder}/{name}", "watched_directory": {"path": folder}}
    return {"path_config_source": path, "resource_api_version": "V3"}


def socket(host: str, port: int) -> Resource:
    """An address."""
    return {"socket_address": {"address": host, "port_value": port}}
