"""Keeps keys out of what is written down, whoever lets one slip into a sentence or a traceback."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"

# What a field is called that holds nothing else. The id of a key, and counts of tokens, are called otherwise.
_NAMES = (
    r"(?:api[_-]?key|(?:encryption|mesh|private|secret)[_-]key|(?:access|auth|refresh|session)[_-]?token"
    r"|authorization|cookie|passw(?:or)?d|secret)"
)
_SECRET_FIELD = re.compile(rf"(?:^|[_-]){_NAMES}$", re.IGNORECASE)
# Where a word begins: also behind a line's end as JSON and Python quote it, and behind a terminal's colour.
_BEGIN = r"(?:\b|(?<=\\[nrt])|(?<=\x1b\[\dm)|(?<=\x1b\[\d\dm))"
_WORDS = ("api", "access", "auth", "cookie", "encryption", "mesh", "passw", "private", "refresh", "secret", "session")
_SCHEME = "(?:Bearer |Basic )?"
_VALUE = r"[^\s'\"\\,}]"
_NAMED = rf"(?P<kept>(?<![A-Za-z]){_NAMES}\\?['\"]?\s*"
# Each with what a text has in it, in small letters, if it can be found there at all: to look for that takes no time.
_SECRETS = (
    # As providers, and this mesh, write their keys.
    (("sk-", "dt_"), re.compile(rf"{_BEGIN}(?P<kept>sk-|dt_)[A-Za-z0-9_-]{{8,}}")),
    (
        ("gsk_", "hf_", "xai-", "pplx-", "gho_", "ghp_", "ghs_", "ghu_"),
        re.compile(rf"{_BEGIN}(?P<kept>gsk_|hf_|xai-|pplx-|gh[opsu]_)[A-Za-z0-9]{{16,}}"),
    ),
    (("aiza", "github_pat_"), re.compile(rf"{_BEGIN}(?P<kept>AIza|github_pat_)[A-Za-z0-9_-]{{16,}}")),
    (("bearer ", "basic "), re.compile(r"(?P<kept>\b(?:Bearer|Basic) )(?=\S*\d)[A-Za-z0-9._~+/=-]{8,}")),
    # By their names: in quotes; behind a sign of equality; behind a colon what is no word, but for two headers.
    (
        _WORDS,
        re.compile(rf"{_NAMED}[:=]\s*\\?(?P<quote>['\"]){_SCHEME})(?:(?!(?P=quote))[^\\\n])+", re.IGNORECASE),
    ),
    (_WORDS, re.compile(rf"{_NAMED}(?:=\s*{_SCHEME}|:\s*{_SCHEME}(?={_VALUE}*\d))){_VALUE}{{8,}}", re.IGNORECASE)),
    (
        ("x-api-key", "authorization"),
        re.compile(rf"(?P<kept>\b(?:x-api-key|authorization):\s*{_SCHEME}){_VALUE}{{8,}}", re.IGNORECASE),
    ),
    # The id of a key is no secret. Also what was cut off, or mistyped.
    (("dt",), re.compile(r"(?P<kept>dt[cwoamj]_[A-Za-z0-9]{8}_)[A-Za-z0-9]{4,}")),
    # The password of a URL.
    (("://",), re.compile(r"(?P<kept>://[^\s/:@]*:)[^\s/@]+(?=@)")),
)
# What is shorter is no secret, and no text with one.
_SHORTEST = 8
# Levels of a value that are looked into one by one: it may hold itself.
_DEEPEST = 8
_loaded: set[str] = set()


def keep_hidden(*secrets: str) -> None:
    """Hide these from now on wherever they stand, whatever they look like: keys that the process has loaded.

    What has fewer than 8 characters is not looked for.
    """
    _loaded.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def hidden(text: str) -> str:
    """The text without the keys and passwords that can be told by their form or their name, or that are known."""
    if len(text) < _SHORTEST:
        return text
    small = text.lower()
    for hints, secret in _SECRETS:
        if any(hint in small for hint in hints):
            text = secret.sub(rf"\g<kept>{HIDDEN}", text)
    for known in tuple(_loaded):
        text = text.replace(known, HIDDEN)
    return text


def hide_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of logging: fields that are secrets by their name are not written, whatever they look like."""
    for name in event:
        if _is_secret(name) and event[name]:
            event[name] = HIDDEN
    return event


def hide_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of logging, before a line is made of it: what escapes and colours would disguise is found here."""
    for name, value in event.items():
        event[name] = _shown(value)
    return event


def hide_text(_logger: Any, _method: str, line: Any) -> str | bytes:
    """The last step of logging: the line as it would be written, traceback included."""
    return hidden(line) if isinstance(line, str) else bytes(line)


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRET_FIELD.search(name) is not None


def _shown(value: object, deep: int = _DEEPEST) -> object:
    match value:
        case str():
            return hidden(value)
        case None | bool() | int() | float():
            return value
        case Mapping() if deep:
            return {k: HIDDEN if _is_secret(k) and inner else _shown(inner, deep - 1) for k, inner in value.items()}
        case list() if deep:
            return [_shown(inner, deep - 1) for inner in value]
        case tuple() if deep:
            return tuple(_shown(inner, deep - 1) for inner in value)
    # As it would be written; it stays what it is where that tells nothing.
    text = repr(value)
    return value if hidden(text) == text else hidden(text)
