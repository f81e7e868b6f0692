r"""What people and models wrote, as it is kept: encrypted with AES-256-GCM, or as it is.

Every kept text says by itself which of the two it is, and with which key, so that both may lie side by side:

    text    \x02 KEY : base64(nonce, ciphertext); else as it is, but for "\x02:" before what begins with \x02
    bytes   \x00 length of KEY, KEY, nonce, ciphertext; else as they are, but for \x00 \x00 before what begins with \x00

It opens only at the place where it was sealed: the name of its row and column is authenticated with it.
"""

import base64
import os
from collections.abc import Mapping

from devteam.mesh.errors import Unavailable

_TEXT_MARK, _MARK = "\x02", b"\x00"
_NONCE_BYTES = 12
KEY_BYTES = 32

# Nobody can help it by asking again soon.
_RETRY_AFTER = 30.0


class Cipher:
    """Seals with the `current` one of `keys` (ids to 32 bytes), and opens with any; "" seals nothing."""

    def __init__(self, keys: Mapping[str, bytes] | None = None, current: str = "") -> None:
        self._current = current
        self._keys = {}
        if keys:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def seal(self, place: str, content: bytes) -> bytes:
        """Bytes as they are kept at `place`."""
        if not self._current:
            return _MARK + _MARK + content if content.startswith(_MARK) else content
        name = self._current.encode()
        return _MARK + bytes((len(name),)) + name + self._encrypted(place, content)

    def open(self, place: str, kept: bytes) -> bytes:
        """The bytes that are kept at `place`. Raises Unavailable when they cannot be opened."""
        if not kept.startswith(_MARK):
            return kept
        key_id, start = _key_of(kept), 2 + _length_in(kept)
        return self._decrypted(place, key_id, kept[start:]) if key_id else kept[start:]

    def seal_text(self, place: str, text: str) -> str:
        """Text as it is kept at `place`; no text stays no text."""
        if not self._current or not text:
            return f"{_TEXT_MARK}:{text}" if text.startswith(_TEXT_MARK) else text
        encoded = base64.b64encode(self._encrypted(place, text.encode())).decode()
        return f"{_TEXT_MARK}{self._current}:{encoded}"

    def open_text(self, place: str, kept: str) -> str:
        """The text that is kept at `place`. Raises Unavailable when it cannot be opened."""
        if not kept.startswith(_TEXT_MARK):
            return kept
        key_id, rest = _key_of(kept), kept.partition(":")[2]
        return self._decrypted(place, key_id, _decoded(rest)).decode() if key_id else rest

    def is_current(self, kept: bytes | str) -> bool:
        """Whether this is how it would be sealed now, as far as the key goes."""
        return not kept or _key_of(kept) == self._current

    def _encrypted(self, place: str, content: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._keys[self._current].encrypt(nonce, content, place.encode())

    def _decrypted(self, place: str, key_id: str, sealed: bytes) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            raise Unavailable(
                f"this was encrypted with key {key_id!r}, which the Planner does not have: put it back into its "
                "encryption_keys_file, and start it again",
                reason="ENCRYPTION_KEY_UNKNOWN",
                retry_after=_RETRY_AFTER,
                metadata={"key_id": key_id},
            )
        from cryptography.exceptions import InvalidTag

        try:
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError):
            raise Unavailable(
                f"what is kept at {place} cannot be decrypted: it was changed or moved in the database, or key "
                f"{key_id!r} is not the one it was encrypted with",
                reason="DECRYPTION_FAILED",
                retry_after=_RETRY_AFTER,
                metadata={"key_id": key_id},
            ) from None


def is_sealed(kept: str) -> bool:
    """Whether a text is kept in another form than its own."""
    return kept.startswith(_TEXT_MARK)


def _key_of(kept: bytes | str) -> str:
    """The id of the key that sealed it; empty when none did."""
    if isinstance(kept, str):
        return kept[1:].partition(":")[0] if is_sealed(kept) else ""
    return kept[2 : 2 + _length_in(kept)].decode(errors="replace") if kept.startswith(_MARK) else ""


def _length_in(kept: bytes) -> int:
    """Of the key's id; 0 also where the mark is all that is left."""
    return int.from_bytes(kept[1:2], "big")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
