"""The keys that have not ended, and how much room they take."""

from collections import Counter
from collections.abc import Iterable

from devteam.mesh.clock import Clock
from devteam.mesh.errors import FailedPrecondition
from devteam_registry.keys.domain import Key

# Services are told of all keys at once, and one message has 4 MiB: 30,000 keys, as a rule.
_MOST_BYTES = 3_900_000
# So that no admin of a tenant can keep everyone else from having keys.
_MOST_BYTES_OF_A_TENANT = _MOST_BYTES // 2


class ValidKeys:
    """By their ids; those that have expired are dropped when somebody looks at all of them, or lacks room."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._total = 0
        self._of_tenants: Counter[str] = Counter()

    def replace(self, keys: Iterable[Key]) -> None:
        """From now on there are these, and no others."""
        self._keys, self._total = {}, 0
        self._of_tenants.clear()
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> None:
        """One more, with an id of its own."""
        self._keys[key.key_id] = key
        self._count(key, key.weight)

    def remove(self, key_id: str) -> None:
        """One has ended; harmless when it is not there."""
        if (key := self._keys.pop(key_id, None)) is not None:
            self._count(key, -key.weight)

    def get(self, key_id: str) -> Key | None:
        """One of them; it may have expired."""
        return self._keys.get(key_id)

    def holds(self, key_id: str) -> bool:
        """Whether it has not ended."""
        key = self._keys.get(key_id)
        return key is not None and not key.has_ended(self._clock.now())

    def all(self) -> tuple[Key, ...]:
        """Those that have not ended."""
        now = self._clock.now()
        for key in [key for key in self._keys.values() if key.has_ended(now)]:
            self.remove(key.key_id)
        return tuple(self._keys.values())

    def refuse_beyond(self, key: Key) -> None:
        """Raise FailedPrecondition where there is no room for one more."""
        if self._full(key):
            self.all()
        if full := self._full(key):
            raise FailedPrecondition(
                f"{full}; revoke those that nobody needs, and let new ones expire", reason="TOO_MANY_KEYS"
            )

    def _full(self, key: Key) -> str:
        tenant = key.spec.tenant
        if self._total + key.weight > _MOST_BYTES:
            return "there are as many valid keys as services can be told of"
        if tenant and self._of_tenants[tenant] + key.weight > _MOST_BYTES_OF_A_TENANT:
            return (
                f"tenant {tenant!r} has as many valid keys as one tenant may have: half of what services can be told of"
            )
        return ""

    def _count(self, key: Key, weight: int) -> None:
        self._total += weight
        self._of_tenants[key.spec.tenant] += weight
        if not self._of_tenants[key.spec.tenant]:
            del self._of_tenants[key.spec.tenant]
