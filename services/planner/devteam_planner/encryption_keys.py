"""The file that holds the keys which the database is encrypted with."""

import base64
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.redaction import keep_hidden
from devteam_planner.cipher import KEY_BYTES, Cipher

_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
# Nobody else may read it, or write to it; a group may read, since Kubernetes hands secrets to one.
_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
_SETTING = "encryption_keys_file"


@dataclass(frozen=True, slots=True)
class EncryptionKeys:
    """Keys by their ids; with the `current` one is encrypted."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def cipher(self, *, off: bool = False) -> Cipher:
        """A cipher with these keys; `off`: it opens what they sealed, and seals nothing."""
        return Cipher(self.keys, "" if off else self.current)


def read_keys(path: Path, *, setting: str = _SETTING) -> EncryptionKeys:
    """The keys in a file: a line "ID BASE64KEY" for each, the current one first; # begins a comment.

    Raises InvalidInput, by the name of the `setting`, for a file that cannot be read, that others may read, or that
    holds something else. No key is quoted.
    """
    try:
        with path.open(encoding="utf-8") as opened:
            # Of what is read, whatever the name stands for by now.
            mode, lines = os.fstat(opened.fileno()).st_mode, opened.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(setting, f"cannot read {path.name}: {getattr(error, 'strerror', '') or 'it is no text'}") from None
    if mode & _TOO_OPEN:
        raise _wrong(setting, f"others may read {path.name} (mode {stat.S_IMODE(mode):04o}): chmod 600 it")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            key_id, key = _parsed(line, f"line {number} of {path.name}", setting)
            if key_id in keys:
                raise _wrong(setting, f"line {number} of {path.name}: there is a key {key_id!r} already")
            keys[key_id] = key
    if not keys:
        raise _wrong(setting, f"{path.name} holds no key; `devteam encryption new-key` makes one")
    keep_hidden(*(base64.b64encode(key).decode() for key in keys.values()))
    return EncryptionKeys(next(iter(keys)), keys)


def new_line(now: datetime, key_id: str = "") -> str:
    """A line with a new key, named by the day and two random letters unless named here. Raises InvalidInput."""
    key_id = key_id or f"{now:%Y-%m-%d}-{secrets.token_hex(2)}"
    if not _ID.fullmatch(key_id):
        raise _wrong("id", f"{key_id!r} is no id: 1 to 32 characters of A-Z a-z 0-9 . _ -")
    return f"{key_id} {base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _parsed(line: str, place: str, setting: str) -> tuple[str, bytes]:
    parts = line.split()
    if len(parts) != 2 or not _ID.fullmatch(parts[0]):
        raise _wrong(setting, f"{place} is not of the form ID BASE64KEY, with an id of A-Z a-z 0-9 . _ -")
    try:
        key = base64.b64decode(parts[1], validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise _wrong(setting, f"{place}: the key is not {KEY_BYTES} bytes in base64")
    return parts[0], key


def _wrong(setting: str, message: str) -> InvalidInput:
    return InvalidInput(Violation(setting, "INVALID_VALUE", message))
