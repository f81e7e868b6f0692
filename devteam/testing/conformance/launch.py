"""How the worker under examination comes to life."""

from collections.abc import Callable
from typing import Protocol


class Launcher(Protocol):
    """Starts the worker and ends it, as often as scenes need. `by_hand`: its author starts it, a drain ends it."""

    by_hand: bool

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended."""

    @property
    def traces(self) -> str:
        """What to add to a sentence about a worker that did not come: where to read more. Empty: nowhere."""

    async def start(self) -> None:
        """Have the worker start; it need not be there yet."""

    async def stop(self) -> None:
        """Have it end, at once. Harmless when it has."""


class ByHand:
    """Asks the author to start it."""

    by_hand = True
    # Nobody says so.
    gone = False
    traces = ""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        self._say = say
        self._wish = f"start your worker against {url} with queue `conformance`, model `sim`, 2 slots"

    async def start(self) -> None:
        """Say so."""
        self._say(self._wish)

    async def stop(self) -> None:
        """Nothing: it is drained, and leaves."""
