"""The part of the compose specification that our file uses, as JSON Schema: names it does not know are mistakes."""

from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_FLAG = {"type": "boolean"}
_DURATION = {"type": "string", "pattern": r"^(\d+(us|ms|s|m|h))+$"}
_SIZE = {"type": "string", "pattern": r"^\d+[bkmgBKMG]?$"}


def only(needed: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """A mapping with these names and no others, of which some are `needed`."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(needed),
        "additionalProperties": False,
    }


def _each(schema: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": schema}


_HEALTH = only(
    ("test",),
    test={"type": "array", "items": _TEXT, "minItems": 2, "prefixItems": [{"enum": ["CMD"]}]},
    interval=_DURATION,
    timeout=_DURATION,
    start_period=_DURATION,
    start_interval=_DURATION,
    retries={"type": "integer", "minimum": 1},
)
_DEPENDS = _each(
    only(("condition",), condition={"enum": ["service_started", "service_healthy", "service_completed_successfully"]})
)
_LIMITS = only(
    ("cpus", "memory"), cpus={"type": "string", "pattern": r"^\d+(\.\d+)?$"}, memory=_SIZE, pids={"type": "integer"}
)
_SERVICE = only(
    ("image",),
    image={"type": "string", "pattern": r"^[a-z0-9./-]+:[A-Za-z0-9][A-Za-z0-9._-]*(@sha256:[0-9a-f]{64})?$"},
    build=only(("context", "dockerfile"), context=_TEXT, dockerfile=_TEXT),
    user={"type": "string", "pattern": r"^\d+:\d+$"},
    command=_TEXTS,
    entrypoint=_TEXTS,
    working_dir=_TEXT,
    environment=_each(_TEXT),
    env_file={"type": "array", "items": only(("path",), path=_TEXT, required=_FLAG)},
    networks=_TEXTS,
    ports={"type": "array", "items": {"type": "string", "pattern": r"^(127\.0\.0\.1:)?\d+:\d+$"}},
    depends_on=_DEPENDS,
    secrets=_TEXTS,
    volumes={"type": "array", "items": {"type": "string", "pattern": r"^(\./[^:]+:/[^:]+:ro|[a-z]+:/[^:]+)$"}},
    tmpfs=_TEXTS,
    extra_hosts=_TEXTS,
    shm_size=_SIZE,
    profiles=_TEXTS,
    restart={"type": "string", "pattern": r"^(no|unless-stopped|on-failure:\d+)$"},
    stop_grace_period=_DURATION,
    read_only=_FLAG,
    cap_drop=_TEXTS,
    cap_add=_TEXTS,
    security_opt=_TEXTS,
    logging=only(("driver",), driver=_TEXT, options=_each(_TEXT)),
    healthcheck=_HEALTH,
    deploy=only(("resources",), resources=only(("limits",), limits=_LIMITS)),
)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **only(
        ("services",),
        name={"type": "string", "pattern": r"^[a-z0-9][a-z0-9_-]*$"},
        services=_each(_SERVICE),
        networks=_each(only(internal=_FLAG, ipam=only(config={"type": "array", "items": only(subnet=_TEXT)}))),
        volumes=_each(only()),
        secrets=_each(only(("file",), file=_TEXT)),
    ),
    "patternProperties": {"^x-": {}},
}
