"""Steers a worker at work: its owner changes settings, or lets it drain."""

from typing import Protocol

import structlog

from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.logs import set_level
from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration
from devteam_worker.draining import Draining
from devteam_worker.live import Change, declared_anew, taken_over
from devteam_worker.settings import WorkerSettings

_log = structlog.get_logger()

# Seconds to wait for what the Registry says of new settings. Without an answer it hears of them with a later beat.
_PATIENCE = 5.0


class Herald(Protocol):
    """Tells the Registry what the worker is."""

    async def declare(self, declaration: Declaration, *, patience: float) -> str:
        """As Registration.declare."""


class Helm:
    """One worker's, from when it is registered until it leaves."""

    def __init__(
        self,
        settings: WorkerSettings,
        declaration: Declaration,
        desk: Desk,
        herald: Herald,
        draining: Draining,
    ) -> None:
        self._settings = settings
        self.declaration = declaration
        self._desk = desk
        self._herald = herald
        self._draining = draining

    async def take_over(self, wished: WorkerSettings) -> Change:
        """Work with these settings from now on, as far as that goes without a new start.

        Raises InvalidInput when the Registry refuses what the worker would say of itself; the old settings hold.
        """
        change = taken_over(self._settings, wished)
        declaration = declared_anew(self.declaration, change.settings)
        if declaration != self.declaration:
            await self._declare(declaration)
        if "logLevel" in change.applied:
            set_level(change.settings.log_level)
        self._settings = change.settings
        if change.applied:
            _log.info("settings taken over", settings=change.applied)
        return change

    @property
    def slots(self) -> int:
        """How many are in force; an operator may wish others than were declared."""
        return self._desk.concurrency

    def drain(self, within: float) -> None:
        """Take no more work, and leave once what runs has ended, or in so many seconds."""
        self._draining.wish(within)

    async def _declare(self, declaration: Declaration) -> None:
        # The desk first: where there are fewer slots, nothing that comes until the Registry knows is taken.
        before, self.declaration = self.declaration, declaration
        self._desk.declare(declaration)
        if refusal := await self._herald.declare(declaration, patience=_PATIENCE):
            self.declaration = before
            self._desk.declare(before)
            raise InvalidInput(Violation("", "REFUSED", f"the mesh refuses them: {refusal}"))
