"""Forgets plans with all that was asked and answered: a tenant's, and those that ended long ago."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import NotFound, Unavailable

_log = structlog.get_logger()

# Plans that are looked at, and erased, at once.
BATCH = 200
# Seconds between two looks whether what was cancelled has ended, and until it is ended without a last word.
_LOOK_AGAIN, _GRACE = 0.5, 60.0
# Seconds that others have the database for, between two batches of what is merely old.
_PAUSE = 0.05
_SWEEP_EVERY = 3600.0
_TRY_AGAIN = 60.0


@dataclass(frozen=True, slots=True)
class Head:
    """What decides about a plan."""

    plan_id: str
    tenant: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What is gone so far. `waiting_for`: plans that are cancelled and have not ended. `done`: nothing is left."""

    plans: int = 0
    tasks: int = 0
    waiting_for: int = 0
    done: bool = False

    def and_more(self, plans: int, tasks: int) -> "Erased":
        """With these."""
        return replace(self, plans=self.plans + plans, tasks=self.tasks + tasks)


class ErasureStore(Protocol):
    """Plans as something to get rid of. All methods raise Unavailable when the store is."""

    async def heads(self, *, sole: bool, after: str, limit: int) -> list[Head]:
        """Plans, or tasks of their own, with ids after `after`, in the order of their ids: that of their creation."""

    async def open_of(self, plan_ids: Collection[str]) -> set[str]:
        """Which of these plans have not ended."""

    async def erase(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        """Delete those of these plans that have ended, in transactions that others find time between.

        Returns how many plans and tasks went. One that breaks off can be repeated.
        """

    async def scrub(self) -> None:
        """Leave no trace of what was deleted in the files of the database, as far as it can."""


class Closing(Protocol):
    """The part of the plan store that ends plans."""

    async def close_plan(self, plan_id: str, now: datetime) -> object:
        """End the plan, whatever still runs."""


class Histories(Protocol):
    """Where else there is something of a plan."""

    async def forget(self, plan_ids: Sequence[str]) -> None:
        """Drop the histories of these plans' workflows. Raises Unavailable."""


class Erasure:
    """`cancel` asks for a plan to stop; `ring` is called with the ids of plans that are gone."""

    def __init__(
        self,
        store: ErasureStore,
        closing: Closing,
        histories: Histories,
        clock: Clock,
        *,
        cancel: Callable[[str], Awaitable[object]],
        ring: Callable[[str], None],
    ) -> None:
        self._store = store
        self._closing = closing
        self._histories = histories
        self._clock = clock
        self._cancel = cancel
        self._ring = ring

    async def of_tenant(self, tenant: str) -> AsyncGenerator[Erased, None]:
        """Erase all that the tenant had created when this was called; tells after every batch how far it is.

        What is open is cancelled first; what has not ended a minute later is ended without waiting for a last word.
        Raises Unavailable; calling again goes on.
        """
        began, told, waiting = self._clock.now(), Erased(), set[str]()
        async with aclosing(self._pages()) as pages:
            async for page in pages:
                own = [head for head in page if head.tenant == tenant and head.created_at <= began]
                waiting |= await self._cancelled([head.plan_id for head in own if head.ended_at is None])
                told = await self._gone([head.plan_id for head in own if head.ended_at is not None], told)
                told = replace(told, waiting_for=len(waiting))
                if own:
                    yield told
        async with aclosing(self._ended(waiting, told)) as steps:
            async for told in steps:
                yield told
        await self._store.scrub()
        _log.info("tenant erased", tenant=tenant, plans=told.plans, tasks=told.tasks)
        yield replace(told, done=True)

    async def older_than(self, moment: datetime) -> Erased:
        """Erase what ended before. Raises Unavailable."""
        told = Erased()
        for sole in (False, True):
            async with aclosing(self._pages_of(sole=sole)) as pages:
                async for page in pages:
                    old = [head.plan_id for head in page if head.ended_at is not None and head.ended_at < moment]
                    told = told.and_more(*await self._erase(old))
                    if page[-1].created_at >= moment:
                        break
                    await self._clock.sleep(_PAUSE)
        return told

    async def _pages(self) -> AsyncGenerator[list[Head], None]:
        for sole in (False, True):
            async with aclosing(self._pages_of(sole=sole)) as pages:
                async for page in pages:
                    yield page

    async def _pages_of(self, *, sole: bool) -> AsyncGenerator[list[Head], None]:
        after, full = "", True
        while full:
            page = await self._store.heads(sole=sole, after=after, limit=BATCH)
            if page:
                yield page
                after = page[-1].plan_id
            full = len(page) == BATCH

    async def _cancelled(self, plan_ids: Sequence[str]) -> set[str]:
        """Ask all of these to stop."""

        async def cancel(plan_id: str) -> None:
            with suppress(NotFound):
                await self._cancel(plan_id)

        await asyncio.gather(*map(cancel, plan_ids))
        return set(plan_ids)

    async def _ended(self, waiting: set[str], told: Erased) -> AsyncGenerator[Erased, None]:
        """Erase each of these once it has ended."""
        patience = self._clock.monotonic() + _GRACE
        while waiting:
            await self._clock.sleep(_LOOK_AGAIN)
            if self._clock.monotonic() >= patience:
                await self._closed(sorted(waiting))
            still = await self._store.open_of(waiting)
            ended, waiting = sorted(waiting - still), still
            for start in range(0, len(ended), BATCH):
                told = await self._gone(ended[start : start + BATCH], told)
            if ended:
                told = replace(told, waiting_for=len(waiting))
                yield told

    async def _closed(self, plan_ids: Sequence[str]) -> None:
        for plan_id in plan_ids:
            _log.warning("plan is erased though not all of it has stopped", plan_id=plan_id)
            with suppress(NotFound):
                await self._closing.close_plan(plan_id, self._clock.now())

    async def _gone(self, plan_ids: Sequence[str], told: Erased) -> Erased:
        told = told.and_more(*await self._erase(plan_ids))
        if plan_ids:
            try:
                await self._histories.forget(plan_ids)
            except Unavailable as error:
                # They hold ids, and go by themselves when Temporal's retention has passed.
                _log.warning("histories of erased plans stay for now", plans=len(plan_ids), error=error.message)
        return told

    async def _erase(self, plan_ids: Sequence[str]) -> tuple[int, int]:
        if not plan_ids:
            return 0, 0
        erased = await self._store.erase(plan_ids)
        for plan_id in plan_ids:
            self._ring(plan_id)
        return erased


class Retention:
    """Erases what ended more than `keep` ago, now and every hour."""

    def __init__(self, erasure: Erasure, keep: timedelta, clock: Clock) -> None:
        self._erasure = erasure
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Never returns."""
        while True:
            pause = _SWEEP_EVERY
            try:
                erased = await self._erasure.older_than(self._clock.now() - self._keep)
                if erased.plans:
                    _log.info("old plans erased", plans=erased.plans, tasks=erased.tasks)
            except Unavailable as error:
                _log.warning("old plans are erased later", error=error.message)
                pause = _TRY_AGAIN
            await self._clock.sleep(pause)
