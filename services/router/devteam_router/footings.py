"""What a Router stands on: the Registry, the keys that it tells of, and the other Routers."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from devteam.mesh.address import without_secrets
from devteam.mesh.clock import Clock
from devteam.mesh.standing import Footing
from devteam_router.peers import Peers


class Footings:
    """The Registry at `address`, what else is `fixed`, and all Routers that are alive as far as the Registry says."""

    def __init__(
        self,
        address: str,
        peers: Peers,
        trouble_with: Callable[[str], Awaitable[str]],
        clock: Clock,
        fixed: Sequence[Footing] = (),
    ) -> None:
        self._fixed = tuple(fixed)
        self.registry = Footing("registry", without_secrets(address), clock)
        self._peers = peers
        self._trouble_with = trouble_with
        self._clock = clock
        self._routers: dict[str, Footing] = {}

    def all(self) -> list[Footing]:
        """All of them as of now."""
        self._routers = {address: self._routers.get(address) or self._new(address) for address in self._peers.addresses}
        return [self.registry, *self._fixed, *self._routers.values()]

    def _new(self, address: str) -> Footing:
        return Footing("router", without_secrets(address), self._clock, partial(self._trouble_with, address))
