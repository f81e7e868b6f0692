"""What remembers keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from devteam_registry.keys.domain import JoinToken, Key, KeyPage, KeyQuery


class KeyStore(Protocol):
    """Remembers keys and join tokens over restarts of the Registry. Every method raises Unavailable when it cannot."""

    async def load_valid(self, now: datetime) -> list[Key]:
        """Every key that has not ended, in the order that they were made in."""

    async def get(self, key_id: str) -> Key | None:
        """One key, also one that has ended."""

    async def page(self, query: KeyQuery, now: datetime) -> KeyPage:
        """A page of keys, in the order that they were made in; an empty one after a key that is not known."""

    async def add(self, key: Key) -> None:
        """A new key."""

    async def revoke(self, key_id: str, now: datetime) -> None:
        """End a key, unless it was revoked before."""

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """When keys were last used, by their ids; an unknown id is no error."""

    async def add_token(self, token: JoinToken, now: datetime) -> None:
        """A new join token. Those that have expired by now are forgotten."""

    async def find_token(self, digest: bytes) -> JoinToken | None:
        """The token with this digest, also one that was used."""

    async def use_token(self, digest: bytes, key: Key, now: datetime) -> bool:
        """Use an open token up, and add the key that it was exchanged for: both, or neither.

        False: it is not open any more. Of any number that try at the same time, one is told True.
        """
