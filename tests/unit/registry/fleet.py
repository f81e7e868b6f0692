"""A roster with the words that workers and Routers say to it."""

from devteam_registry.changes import Feed
from devteam_registry.domain import Beat, Change, Changed, Removed
from devteam_registry.health import WorkerState
from devteam_registry.links import LinkReport, LinkWord
from devteam_registry.roster import Roster
from devteam_registry.sessions import digest_of

from tests.fakes.clock import FakeClock
from tests.unit.registry.samples import spec


class Fleet:
    """A roster, its clock, and one watcher."""

    def __init__(self, clock: FakeClock, feed: Feed[Change], roster: Roster) -> None:
        self.clock = clock
        self.feed = feed
        self.roster = roster
        self.deregistered: list[str] = []

    def register(self, worker_id: str, instance_id: str = "i1") -> None:
        self.roster.put(self.roster.admitted(spec(worker_id), instance_id, digest_of("token")))

    def beat(self, *worker_ids: str) -> None:
        for worker_id in worker_ids:
            self.roster.beat(Beat(worker_id, "i1", "token"))

    def pass_time(self, seconds: int, *, beating: tuple[str, ...] = ()) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.beat(*beating)
            self.deregistered += self.roster.sweep()

    def report(self, *words: LinkWord, router: str = "router-1", complete: bool = False) -> None:
        self.roster.report_links(LinkReport(router, words, complete))

    def words(self, worker_id: str) -> str:
        return self.roster.get(worker_id).health.words

    def state(self, worker_id: str) -> WorkerState:
        return self.roster.get(worker_id).health.state

    async def seen(self) -> list[tuple[str, str]]:
        """What the watcher was told since last asked: ids, and states or reasons."""
        told: list[tuple[str, str]] = []
        while not self.feed._waiting.empty():
            match await self.feed.next():
                case Changed(view):
                    told.append((view.worker.worker_id, view.health.state.value))
                case Removed(worker_id, _, reason):
                    told.append((worker_id, reason))
        return told


def up(worker_id: str, instance_id: str = "i1") -> LinkWord:
    return LinkWord(worker_id, instance_id, connected=True)


def down(worker_id: str, instance_id: str = "i1", *, running: int = 0, given_up_in: float | None = None) -> LinkWord:
    return LinkWord(worker_id, instance_id, connected=False, running=running, given_up_in=given_up_in)
