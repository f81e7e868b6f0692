"""Keys remembered for as long as the process lives."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from devteam_registry.keys.domain import JoinToken, Key, KeyPage, KeyQuery


class MemoryKeyStore:
    """A KeyStore without a disk."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._tokens: dict[bytes, JoinToken] = {}

    async def load_valid(self, now: datetime) -> list[Key]:
        """Every key that has not ended."""
        return [key for key in self._in_order() if not key.has_ended(now)]

    async def get(self, key_id: str) -> Key | None:
        """One key."""
        return self._keys.get(key_id)

    async def page(self, query: KeyQuery, now: datetime) -> KeyPage:
        """A page of keys, in the order that they were made in."""
        after = self._keys.get(query.after)
        if query.after and after is None:
            return KeyPage(())
        found = [
            key
            for key in self._in_order()
            if (after is None or _place(key) > _place(after))
            and query.tenant in ("", key.spec.tenant)
            and (query.include_ended or not key.has_ended(now))
        ]
        return KeyPage(tuple(found[: query.size]), more=len(found) > query.size)

    async def add(self, key: Key) -> None:
        """A new key."""
        self._keys[key.key_id] = key

    async def revoke(self, key_id: str, now: datetime) -> None:
        """End a key, unless it was revoked before."""
        key = self._keys.get(key_id)
        if key is not None and key.revoked_at is None:
            self._keys[key_id] = replace(key, revoked_at=now)

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """When keys were last used."""
        for key_id, used in uses.items():
            if key_id in self._keys:
                self._keys[key_id] = replace(self._keys[key_id], last_used_at=used)

    async def add_token(self, token: JoinToken, now: datetime) -> None:
        """A new join token."""
        self._tokens = {digest: known for digest, known in self._tokens.items() if now < known.spec.expires_at}
        self._tokens[token.digest] = token

    async def find_token(self, digest: bytes) -> JoinToken | None:
        """The token with this digest."""
        return self._tokens.get(digest)

    async def use_token(self, digest: bytes, key: Key, now: datetime) -> bool:
        """Use an open token up, and add the key that it was exchanged for."""
        token = self._tokens.get(digest)
        if token is None or not token.is_open(now):
            return False
        self._tokens[digest] = replace(token, used_at=now)
        self._keys[key.key_id] = key
        return True

    def _in_order(self) -> list[Key]:
        return sorted(self._keys.values(), key=_place)


def _place(key: Key) -> tuple[datetime, str]:
    return key.created_at, key.key_id
