"""Two Routers with forty workers linked to both: kept busy, asked what they have, listened to when one is gone."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

from tests.chaos.inquiry import Inquiry
from tests.chaos.journal import Record
from tests.chaos.scene import PATIENCE, Scene

PROCESSES, CREW = 4, 10
WORKERS = PROCESSES * CREW
# Words a second: each is stored, and told to a watcher.
_PACE = 10


class Pair:
    """One run of a fault on two Routers. `tasks` is everything that was submitted, none of which may begin anew."""

    def __init__(self, scene: Scene) -> None:
        self.tasks: list[str] = []
        self._scene = scene

    async def whole(self) -> None:
        """Wait until both Routers have every worker, and are given work."""
        async with asyncio.timeout(PATIENCE):
            for router in self._scene.cluster.routers:
                inquiry = self._inquiry(router)
                while await inquiry.slots(self._scene.queue) < WORKERS:  # noqa: ASYNC110 - no event says so
                    await asyncio.sleep(0.05)
                while not await inquiry.standing([await self._one_word()]):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)

    def turn(self) -> tuple[str, str]:
        """The Router that is to suffer now, and the other one: they take turns."""
        first, second = self._scene.cluster.routers
        blows = sum(record["kind"] != "resume" for record in self._scene.journal.all("fault"))
        return (second, first) if blows % 2 else (first, second)

    async def submit(self, count: int, shortest: float, longest: float) -> None:
        """So many tasks, of some length in seconds between these two."""
        lengths = [self._scene.random.uniform(shortest, longest) for _ in range(count)]
        audience, queue = self._scene.audience, self._scene.queue
        created = (audience.task(int(_PACE * seconds), seconds, queue=queue) for seconds in lengths)
        tasks = await asyncio.gather(*created)
        self._scene.spare(*tasks)
        self.tasks += tasks

    async def begun(self, count: int) -> None:
        """Wait until so many have begun."""

        def newest() -> Record | None:
            found = [record for task in self.tasks for record in self._scene.journal.all("begun", task=task)]
            return found[-1] if len(found) >= count else None

        await self._scene.journal.until(newest, PATIENCE)

    async def work_comes_in(self, seconds: float) -> None:
        """A short task every now and then, for so long."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            await self.submit(1, 0.5, 2.5)
            await asyncio.sleep(min(rest, self._scene.random.uniform(0.05, 0.3)))

    async def ended(self) -> None:
        """Wait for the end of everything."""
        await self._scene.audience.ended(*self.tasks, patience=PATIENCE)

    async def held(self, router: str) -> tuple[list[str], list[str]]:
        """The tasks that a Router has now: those that run, and those that wait."""
        standing = await self._inquiry(router).standing(self.tasks)
        run, wait = ([task for task, found in standing.items() if found == kind] for kind in ("assigned", "waiting"))
        self._scene.journal.note("held", router=router, running=len(run), waiting=len(wait))
        assert run, f"{router} had nothing that could be lost"
        return run, wait

    async def first_placed(self, router: str, tasks: Sequence[str], at: float) -> list[float]:
        """Seconds from `at` until the first of these began that this Router itself has placed."""
        placed = await self._inquiry(router).standing(tasks)
        begun = [r["at"] - at for task in placed for r in self._scene.journal.all("begun", task=task)]
        return [min(begun)] if begun else []

    def silences(self, tasks: Sequence[str], at: float) -> list[float]:
        """The longest time in which nothing was heard of each of these from `at` on, unless it had ended by then.

        Of one that had no word left to say, the time until its end was heard.
        """
        heard = ([at, *self._heard(task, at)] for task in tasks)
        return [max(later - earlier for earlier, later in pairwise(moments)) for moments in heard if moments[1:]]

    def _heard(self, task: str, at: float) -> list[float]:
        journal = self._scene.journal
        words = [r["at"] for r in journal.all("tokens", task=task, watcher="first") if r["at"] > at]
        ends = [r["at"] for r in journal.all("state", task=task, state="succeeded") if r["at"] > at]
        return words or ends[:1]

    def _inquiry(self, router: str) -> Inquiry:
        return Inquiry(self._scene.cluster.address(router))

    async def _one_word(self) -> str:
        task = await self._scene.audience.task(1, 0, queue=self._scene.queue)
        await self._scene.audience.ended(task, patience=PATIENCE)
        return task
