"""Attributes of OTLP as texts of bounded length."""

import base64
import json
import math
from collections.abc import Iterable
from itertools import islice

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from devteam.mesh import names

MAX_ATTRIBUTES = 128
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 4096
# Of what was asked and said, where a worker was told to write it down; it keeps to that itself.
MAX_CONTENT_BYTES = 32 * 1024
_CONTENT = frozenset(
    {
        *(names.GEN_AI_SYSTEM_INSTRUCTIONS, names.GEN_AI_INPUT_MESSAGES, names.GEN_AI_OUTPUT_MESSAGES),
        *(names.GEN_AI_TOOL_ARGUMENTS, names.GEN_AI_TOOL_RESULT),
    }
)


def attributes_from_otlp(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """The first 128 attributes by their keys, values of at most 4 KiB, or 32 KiB of what a model was asked and said."""
    taken: dict[str, str] = {}
    for pair in islice(pairs, MAX_ATTRIBUTES):
        limit = MAX_CONTENT_BYTES if pair.key in _CONTENT else MAX_VALUE_BYTES
        taken[cut(pair.key, MAX_KEY_BYTES)] = cut(text_of(pair.value), limit)
    return taken


def text_of(value: AnyValue) -> str:
    """A text as it is, anything else as JSON; bytes as a text in base64."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8; three dots at the end tell that there was more."""
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "..."


def _plain(value: AnyValue) -> object:
    match kind := value.WhichOneof("value"):
        case "string_value" | "bool_value" | "int_value":
            return getattr(value, kind)
        case "double_value":
            # JSON has no word for the others.
            return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    return None
