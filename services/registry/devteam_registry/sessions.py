"""Session tokens: given to a worker once, kept here only as a digest."""

import hashlib
import hmac
import secrets


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 of a token, in lower-case hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def proves(token: str, digest: str) -> bool:
    """Whether `token` is the one that `digest` was made of, in constant time."""
    return hmac.compare_digest(digest_of(token), digest)
