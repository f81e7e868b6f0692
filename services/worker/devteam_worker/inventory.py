"""What lies on this machine and how it is doing, and what of that the Registry has yet to hear."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import LocalModel
from devteam_worker.vitals import Vitals

_log = structlog.get_logger()

# Longer than a provider may take by itself.
_PATIENCE = 10.0


class Inventory:
    """Looks once a beat, beside it: however long a provider takes to answer, the beat does not wait.

    A run on a model that was not in memory may have loaded it: then it looks at once, instead of with the next beat.
    """

    def __init__(
        self,
        list_models: Callable[[], Awaitable[Sequence[LocalModel]]],
        *,
        take_vitals: Callable[[], Vitals] | None = None,
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
        patience: float = _PATIENCE,
    ) -> None:
        self._list_models = list_models
        self._take_vitals = take_vitals
        self._aliases = aliases
        self._patience = patience
        self.models: tuple[LocalModel, ...] = ()
        self.vitals: Vitals | None = None
        self._told: tuple[LocalModel, ...] = ()
        self._due = asyncio.Event()
        # Since the last beat it looked out of turn, which stands in for the look of the next one.
        self._hurried = False

    @property
    def untold(self) -> bool:
        """Whether the Registry knows another list."""
        return self.models != self._told

    def told(self, models: tuple[LocalModel, ...]) -> None:
        """The Registry has heard this list."""
        self._told = models

    def beaten(self) -> None:
        """A beat is under way."""
        if not self._hurried:
            self._due.set()
        self._hurried = False

    def ran(self, model: str) -> None:
        """A run on this model, named as its task names it, has ended."""
        name = resolve(model, self._aliases)
        if not self._hurried and any(known.name == name and not known.resident for known in self.models):
            self._hurried = True
            self._due.set()

    async def look(self) -> None:
        """Ask what lies here now. Who does not answer in time leaves the list as it was."""
        try:
            async with asyncio.timeout(self._patience):
                # In an order of our own: which one was used last is no news.
                self.models = tuple(sorted(await self._list_models(), key=lambda model: model.name))
                if self._take_vitals is not None:
                    self._note(await asyncio.to_thread(self._take_vitals))
        except OSError as error:
            _log.warning("the machine's memory and disk cannot be read", error=error.strerror)
        except TimeoutError:
            _log.warning("the machine could not be looked at in time", seconds=self._patience)

    def _note(self, vitals: Vitals) -> None:
        before, self.vitals = self.vitals, vitals
        if vitals.trouble and not (before and before.trouble):
            _log.warning("the machine is nearly full", left=vitals.trouble)

    async def run(self, on_hurry: Callable[[], None]) -> None:
        """Look whenever it is time to, for ever. `on_hurry`: what was found out of turn should be told soon."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self.look()
            if self._hurried and self.untold:
                on_hurry()
