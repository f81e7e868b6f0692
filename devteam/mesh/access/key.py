"""What a key looks like: short, found by scanners of leaked secrets, and known to be mistyped before it is sent.

    dtw_3sFvq9Zk_Kx8c...28 characters...e4Tg2bA
    └┬┘ └──┬───┘ └──────────┬─────────┘└──┬──┘
    kind  id, no secret   164 random bits  checksum

The alphabet is base 58: no two letters that look alike, nothing that has to be escaped.
"""

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID, _RANDOM, _CHECK = 8, 28, 6
# After "dt": c, w, o, a as in their roles, m for the mesh key, j for a join token.
KINDS: Final = "cwoamj"
PATTERN: Final = re.compile(
    rf"dt[{KINDS}]_[{ALPHABET}]{{{_ID}}}_[{ALPHABET}]{{{_RANDOM + _CHECK}}}",
)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key: what is shown once, and what may be kept of it."""

    key_id: str
    secret: str = field(repr=False)
    digest: bytes = field(repr=False)


def mint(kind: str) -> MintedKey:
    """A new key of a kind, one of KINDS."""
    key_id = _random(_ID)
    body = f"dt{kind}_{key_id}_{_random(_RANDOM)}"
    secret = body + _checksum(body)
    return MintedKey(key_id, secret, digest_of(secret))


def id_of(secret: str) -> str:
    """The id in a key; empty when it is none, or was mistyped."""
    if not PATTERN.fullmatch(secret) or _checksum(secret[:-_CHECK]) != secret[-_CHECK:]:
        return ""
    return secret.split("_")[1]


def digest_of(secret: str) -> bytes:
    """What is kept of a key, and compared. A plain SHA-256: nobody guesses 164 random bits, however fast."""
    return hashlib.sha256(secret.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
