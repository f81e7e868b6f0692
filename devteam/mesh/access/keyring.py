"""The keys that a service knows, and whom they stand for."""

import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.key import digest_of, id_of
from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unauthenticated, Unavailable

# One sentence for all that is wrong with a key: who guesses learns nothing. The log says more.
_INVALID = "the API key is not valid: it is mistyped, has expired, was revoked or never existed; ask for a new one"


def invalid_key() -> Unauthenticated:
    """The answer to every key that is not valid, or not any more."""
    return Unauthenticated(_INVALID, reason="CREDENTIALS_INVALID")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key: whom it stands for, and its digest."""

    caller: Caller
    digest: bytes = field(repr=False)
    revoked: bool = False


class Keyring:
    """Keys by their ids, kept by whoever owns them or follows their changes.

    `mesh_key` is the one key that every service is given when it starts, and is Role.SERVICE; "" for none.
    """

    def __init__(self, clock: Clock, mesh_key: str = "") -> None:
        self._clock = clock
        self._mesh = digest_of(mesh_key) if mesh_key else b""
        self._records: dict[str, KeyRecord] = {}
        # The keys that are each for one worker alone, by its id: workers register in thousands.
        self._bound: dict[str, dict[str, KeyRecord]] = {}
        self._told = False
        self._listeners: list[Callable[[str], None]] = []
        self._catch_up: Callable[[], Awaitable[None]] | None = None
        self._used: set[str] = set()

    def on_ended(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the id of each key that ends before its time."""
        self._listeners.append(listener)

    def on_unknown(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        """Have `catch_up` bring what is known here up to date where it may not be."""
        self._catch_up = catch_up

    async def await_news(self, secret: str) -> None:
        """Let a key that is not known here, but may be a new one, become known first."""
        key_id = id_of(secret)
        if self._catch_up is not None and self._told and key_id and key_id not in self._records:
            await self._catch_up()

    def replace(self, records: Iterable[KeyRecord]) -> None:
        """From now on there are these, and no others."""
        before, self._records, self._bound = self._records, {}, {}
        for record in records:
            if not record.revoked:
                self._add(record)
        self._told = True
        for key_id in before.keys() - self._records.keys():
            self._end(key_id)

    def put(self, record: KeyRecord) -> None:
        """A key is new, or was revoked."""
        if not record.revoked:
            self._add(record)
        elif (known := self._records.pop(record.caller.key_id, None)) is not None:
            self._unbind(known.caller)
            self._end(known.caller.key_id)

    def identify(self, secret: str) -> Caller:
        """Whom a key stands for.

        Raises Unauthenticated for one that is not valid, and Unavailable while no key is known here at all.
        """
        digest = digest_of(secret)
        if self._mesh and hmac.compare_digest(digest, self._mesh):
            return Caller(Role.SERVICE, name="mesh key")
        key_id = id_of(secret)
        record = self._records.get(key_id)
        if record is None and key_id and not self._told:
            raise Unavailable(
                "the keys are not known here yet: the Registry has not answered; try again", reason="KEYS_UNKNOWN"
            )
        if record is None or not hmac.compare_digest(digest, record.digest) or self._expired(record.caller):
            raise invalid_key()
        self._used.add(key_id)
        return record.caller

    def flaw_in(self, secret: str) -> str:
        """What is wrong with a key that is not valid, for the log."""
        record = self._records.get(key_id := id_of(secret))
        if not key_id:
            return "it is no key, or was mistyped"
        if record is None:
            return "no key has this id: it was revoked, or never existed"
        if not hmac.compare_digest(digest_of(secret), record.digest):
            return "a key has this id, and is another one"
        return "it has expired"

    def bound_to(self, worker_id: str) -> str:
        """The id of a key that is for this worker alone; empty when there is none."""
        found = self._bound.get(worker_id, {}).values()
        return next((record.caller.key_id for record in found if not self._expired(record.caller)), "")

    def taken_uses(self) -> frozenset[str]:
        """The keys that were shown since this was asked last, by their ids."""
        used, self._used = frozenset(self._used), set()
        return used

    @property
    def is_told(self) -> bool:
        """Whether the keys are known here."""
        return self._told

    def _add(self, record: KeyRecord) -> None:
        caller = record.caller
        self._records[caller.key_id] = record
        if caller.worker_id:
            self._bound.setdefault(caller.worker_id, {})[caller.key_id] = record

    def _unbind(self, caller: Caller) -> None:
        if bound := self._bound.get(caller.worker_id):
            bound.pop(caller.key_id, None)
            if not bound:
                del self._bound[caller.worker_id]

    def _expired(self, caller: Caller) -> bool:
        return caller.expires_at is not None and caller.expires_at <= self._clock.now()

    def _end(self, key_id: str) -> None:
        for listener in self._listeners:
            listener(key_id)
