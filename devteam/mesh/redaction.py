"""Keeps keys out of what is written down, whoever lets one slip into a sentence or a traceback."""

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[hidden]"

# What a field is called that holds nothing else.
_SECRET_FIELD = re.compile(
    r"(?:^|[_-])(?:api[_-]?key|authorization|cookie|passw(?:or)?d|secret|session[_-]?token)$", re.IGNORECASE
)
_SECRETS = (
    # As providers, and this mesh, write their keys.
    re.compile(r"\b(?P<kept>sk-|dt_)[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?P<kept>\b(?:Bearer|Basic) )(?=\S*\d)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?P<kept>\b(?:x-api-key|authorization)\\?['\"]?\s*[:=]\s*\\?['\"]?)(?!Bearer |Basic )[^\s'\"\\,}]{8,}",
        re.IGNORECASE,
    ),
    # The id of a key is no secret. Also what was cut off, or mistyped.
    re.compile(r"(?P<kept>dt[cwoamj]_[A-Za-z0-9]{8}_)[A-Za-z0-9]{4,}"),
    # The password of a URL.
    re.compile(r"(?P<kept>://[^\s/:@]*:)[^\s/@]+(?=@)"),
)


def hidden(text: str) -> str:
    """The text without the keys and passwords that can be told by their form."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<kept>{HIDDEN}", text)
    return text


def hide_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of logging: fields that are secrets by their name are not written, whatever they look like."""
    for name in event:
        if _SECRET_FIELD.search(name) and event[name]:
            event[name] = HIDDEN
    return event


def hide_text(_logger: Any, _method: str, line: str | bytes) -> str | bytes:
    """The last step of logging: the line as it would be written, traceback included."""
    return hidden(line) if isinstance(line, str) else line
