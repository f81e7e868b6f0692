"""The truth about workers while the Registry runs: in memory, changed only between two awaits."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, NotFound, PermissionDenied
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes
from devteam_registry.domain import (
    Availability,
    Beat,
    Change,
    Changed,
    Farewell,
    Orders,
    Page,
    PageQuery,
    Removed,
    Wishes,
    Worker,
    WorkerSpec,
    WorkerView,
)
from devteam_registry.freeze import Freeze, freeze_of, held
from devteam_registry.health import Health, HealthPolicy, WorkerState, health_of
from devteam_registry.links import LinkReport, Links, forgotten, joined, opened, severed, standing
from devteam_registry.owners import Owner, change, taken
from devteam_registry.sessions import proves

_log = structlog.get_logger()


@dataclass(slots=True)
class _Entry:
    worker: Worker
    # When it was last heard of, in awake seconds.
    heard: float
    # As last judged, which is what watchers were told.
    state: WorkerState = WorkerState.HEALTHY
    # Its streams, as Routers say.
    links: Links = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Census:
    """How many workers there are in each state and availability, and whether deaths are frozen."""

    states: Mapping[WorkerState, int]
    availabilities: Mapping[Availability, int]
    frozen: bool


class Roster:
    """Who is known, and how alive they are. Every change is published in the same step that makes it."""

    def __init__(self, policy: HealthPolicy, clock: Clock, awake: AwakeTime, changes: Changes[Change]) -> None:
        self._policy = policy
        self._clock = clock
        self._awake = awake
        self._changes = changes
        # In the order of the last beat, the longest silent first: a sweep looks only at those.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._departed: dict[str, Worker] = {}
        self._freeze: Freeze | None = None
        self._judged_at = awake.now()

    def load(self, workers: Iterable[Worker]) -> None:
        """Begin with what a store remembered; everyone gets a fresh grace from now on."""
        for worker in workers:
            if worker.departed:
                self._departed[worker.worker_id] = worker
            else:
                self._entries[worker.worker_id] = _Entry(worker, self._awake.now())

    def admitted(self, spec: WorkerSpec, instance_id: str, session_digest: str, owner: Owner | None = None) -> Worker:
        """The worker that a registration would make; changes nothing yet.

        Raises PermissionDenied while another key's worker lives under this id.
        """
        owner = owner or Owner()
        self._refuse_takeover(spec.worker_id, owner)
        now = self._clock.now()
        fresh = Worker(spec, instance_id, session_digest, registered_at=now, last_heartbeat_at=now, owner=owner)
        known = self.remembered(spec.worker_id)
        if known is None:
            return fresh
        if known.departed or known.instance_id != instance_id:
            return replace(fresh, wishes=known.wishes.fulfilled_by_leaving())
        return replace(
            fresh, registered_at=known.registered_at, own_availability=known.own_availability, wishes=known.wishes
        )

    def put(self, worker: Worker) -> WorkerView:
        """Let a registration take effect; it counts as a beat."""
        self._departed.pop(worker.worker_id, None)
        known = self._entries.get(worker.worker_id)
        if known is not None and known.worker.owner.tenant != worker.owner.tenant:
            # Nobody of the tenant before may see it any longer; what it ran for them is over.
            self._publish_removal(known.worker, "registered for another tenant")
        entry = self._entries[worker.worker_id] = _Entry(worker, self._awake.now(), links=_kept(known, worker))
        self._entries.move_to_end(worker.worker_id)
        return self._published(entry)

    def beat(self, beat: Beat, whose: str = "") -> Orders:
        """Note that a worker is alive. Raises NotFound, Aborted or PermissionDenied."""
        entry = self._claimed(beat.worker_id, beat.instance_id, beat.session_token, whose)
        before = (entry.state, entry.worker.availability, entry.worker.spec.local_models)
        entry.worker = self._after(beat, entry.worker)
        entry.heard = self._awake.now()
        entry.state = self._health(entry, entry.heard).state
        self._entries.move_to_end(beat.worker_id)
        if before != (entry.state, entry.worker.availability, entry.worker.spec.local_models):
            self._published(entry)
        else:
            self._changes.remark(lambda: Changed(self._view(entry)))
        return Orders(
            state=entry.state,
            heartbeat_interval=self._policy.heartbeat_interval,
            availability=entry.worker.wishes.availability,
            concurrency=entry.worker.effective_spec.slots,
            drain_rest=entry.worker.wishes.drain_rest(self._clock.now()),
        )

    def leaver(self, farewell: Farewell, whose: str = "") -> Worker:
        """The worker that may leave so. Raises NotFound, Aborted or PermissionDenied."""
        if farewell.session_token:
            return self._claimed(farewell.worker_id, farewell.instance_id, farewell.session_token, whose).worker
        entry = self._entry(farewell.worker_id)
        change(entry.worker.owner, whose, farewell.worker_id)
        if farewell.instance_id:
            _refuse_superseded(entry.worker, farewell.instance_id)
        return entry.worker

    def remove(self, worker_id: str, remains: Worker | None, reason: str) -> None:
        """Take a worker off the list, remembering what `remains` of it. Harmless when it has left already."""
        entry = self._entries.pop(worker_id, None)
        if entry is None:
            return
        if remains is not None:
            self._departed[worker_id] = remains
        self._publish_removal(entry.worker, reason)
        _log.info("worker removed", worker_id=worker_id, instance_id=entry.worker.instance_id, reason=reason)

    def disown(self, key_id: str) -> list[str]:
        """A key has ended: whoever registered with it may be followed by a worker of another key. Returns their ids."""
        owned = [entry for entry in self._entries.values() if entry.worker.owner.credential == key_id]
        for entry in owned:
            entry.worker = replace(entry.worker, owner=Owner(tenant=entry.worker.owner.tenant))
        return [entry.worker.worker_id for entry in owned]

    def wish(self, worker_id: str, wishes: Wishes) -> WorkerView:
        """Let an operator's wishes take effect. Raises NotFound."""
        entry = self._entry(worker_id)
        entry.worker = entry.worker.wishing(wishes)
        return self._published(entry)

    def report_links(self, report: LinkReport) -> None:
        """Take in what a Router says of streams; words about workers or instances that are not known mean nothing."""
        now = self._awake.now()
        named = {word.worker_id: word for word in report.words}
        for worker_id in self._entries.keys() if report.complete else named:
            entry, word = self._entries.get(worker_id), named.get(worker_id)
            if entry is None:
                continue
            if word is None or word.instance_id != entry.worker.instance_id:
                self._relink(entry, severed(entry.links, report.router_id, now) if report.complete else entry.links)
            else:
                self._relink(entry, joined(entry.links, word, report.router_id, now))

    def forget_router(self, router_id: str) -> None:
        """Nobody has a stream to this Router any more: it is gone."""
        now = self._awake.now()
        for entry in self._entries.values():
            self._relink(entry, forgotten(entry.links, router_id, now))

    def tenant_of(self, worker_id: str) -> str | None:
        """Whose the living worker of this id is, by a key that has not ended; None where there is none."""
        entry = self._entries.get(worker_id)
        if entry is None or entry.state is WorkerState.LOST or not entry.worker.owner.credential:
            return None
        return entry.worker.owner.tenant

    def current(self, worker_id: str) -> Worker:
        """A worker on the list. Raises NotFound."""
        return self._entry(worker_id).worker

    def remembered(self, worker_id: str) -> Worker | None:
        """What a store should hold of a worker, on the list or departed; None: nothing."""
        entry = self._entries.get(worker_id)
        return entry.worker if entry else self._departed.get(worker_id)

    def get(self, worker_id: str) -> WorkerView:
        """A worker as of now. Raises NotFound."""
        return self._view(self._entry(worker_id))

    def page(self, query: PageQuery) -> Page:
        """A page of the list, in the order of ids."""
        names = sorted(name for name in self._entries if name > query.after)
        views = (self._view(self._entries[name]) for name in names if _matches(self._entries[name].worker, query))
        asked = (view for view in views if query.state in {None, view.health.state})
        found = tuple(islice(asked, query.size + 1))
        notice = self._freeze.reason if self._freeze else ""
        return Page(found[: query.size], more=len(found) > query.size, notice=notice)

    def census(self) -> Census:
        """How many there are of each kind. Looks at everyone: 3 ms for 10,000."""
        states = Counter(entry.state for entry in self._entries.values())
        availabilities = Counter(entry.worker.availability for entry in self._entries.values())
        return Census(states, availabilities, frozen=self._freeze is not None)

    def views(self) -> list[WorkerView]:
        """Everyone on the list, in no particular order."""
        return [self._view(entry) for entry in self._entries.values()]

    def sweep(self) -> list[str]:
        """Judge everyone who is silent; to be called at every tick. Returns the ids that were deregistered."""
        stalled = self._awake.tick()
        if stalled:
            _log.warning("loop stalled, deadlines shifted", seconds=round(stalled, 1))
        self._judged_at = self._awake.now()
        silent = list(self._silent())
        self._set_freeze(silent)
        return [entry.worker.worker_id for entry in silent if self._is_over(entry)]

    def _silent(self) -> Iterator[_Entry]:
        for entry in self._entries.values():
            if self._judged_at - entry.heard < self._policy.unhealthy_after:
                return
            yield entry

    def _set_freeze(self, silent: list[_Entry]) -> None:
        pending = [entry for entry in silent if entry.state is not WorkerState.LOST]
        fleet = len(self._entries) - (len(silent) - len(pending))
        freeze = freeze_of([self._judged_at - entry.heard for entry in pending], fleet, self._policy)
        if freeze and not self._freeze:
            _log.warning("deaths frozen", silent=freeze.silent, fleet=freeze.fleet)
        if self._freeze and not freeze:
            _log.warning("deaths no longer frozen", silent=len(pending), fleet=fleet)
            self._grant_grace(pending)
        self._freeze = freeze

    def _grant_grace(self, pending: list[_Entry]) -> None:
        # Whoever has not come back yet when a freeze ends is given the time between UNHEALTHY and LOST to do so.
        for entry in pending:
            entry.heard = max(entry.heard, self._judged_at - self._policy.unhealthy_after)

    def _relink(self, entry: _Entry, links: Links) -> None:
        entry.links = links
        state = self._health(entry, self._moment(entry)).state
        if state is not entry.state:
            self._became(entry, state)

    def _became(self, entry: _Entry, state: WorkerState) -> None:
        entry.state = state
        words = self._published(entry).health.words
        _log.info("worker state changed", worker_id=entry.worker.worker_id, state=state.value, reason=words)

    def _is_over(self, entry: _Entry) -> bool:
        if not self._freeze and self._judged_at - entry.heard >= self._policy.deregister_after:
            worker = entry.worker
            self.remove(worker.worker_id, worker.remains(), self._health(entry, self._judged_at).reason)
            return True
        state = self._health(entry, self._judged_at).state
        if state is not entry.state:
            self._became(entry, state)
        return False

    def _after(self, beat: Beat, worker: Worker) -> Worker:
        spec = worker.spec if beat.local_models is None else replace(worker.spec, local_models=beat.local_models)
        return replace(
            worker,
            spec=spec,
            last_heartbeat_at=self._clock.now(),
            own_availability=beat.availability,
            active_tasks=beat.active_tasks,
            vitals=beat.vitals,
        )

    def _refuse_takeover(self, worker_id: str, owner: Owner) -> None:
        entry = self._entries.get(worker_id)
        if entry is None or entry.state is WorkerState.LOST or entry.worker.owner.yields_to(owner):
            return
        _log.warning("registration with another key refused", reason="WORKER_ID_BOUND", worker_id=worker_id)
        raise taken(
            worker_id,
            f"its worker is alive; choose another id, have that key revoked, or wait until the worker was silent for "
            f"{self._policy.lost_after:g} s",
        )

    def _publish_removal(self, worker: Worker, reason: str) -> None:
        self._changes.publish(Removed(worker.worker_id, worker.instance_id, reason, worker.owner))

    def _claimed(self, worker_id: str, instance_id: str, session_token: str, whose: str) -> _Entry:
        entry = self._entries.get(worker_id)
        if entry is None or whose not in ("", entry.worker.owner.tenant):
            raise NotFound(
                "worker",
                worker_id,
                reason="WORKER_NOT_REGISTERED",
                message=f"no worker {worker_id!r} is registered; register again",
            )
        _refuse_superseded(entry.worker, instance_id)
        if not proves(session_token, entry.worker.session_digest):
            raise PermissionDenied(
                "the session token is not the one that was issued at the last registration; register again",
                reason="SESSION_INVALID",
            )
        return entry

    def _entry(self, worker_id: str) -> _Entry:
        entry = self._entries.get(worker_id)
        if entry is None:
            raise NotFound("worker", worker_id)
        return entry

    def _published(self, entry: _Entry) -> WorkerView:
        view = self._view(entry)
        self._changes.publish(Changed(view))
        return view

    def _view(self, entry: _Entry) -> WorkerView:
        moment = self._moment(entry)
        health = self._health(entry, moment)
        now = self._clock.now()
        due = None
        if health.next_in is not None:
            due = now + timedelta(seconds=max(0.0, moment + health.next_in - self._awake.now()))
        uptime = max(0.0, (now - entry.worker.registered_at).total_seconds())
        # The least of them, so that it stays the same.
        return WorkerView(entry.worker, health, due, uptime, router_id=min(opened(entry.links), default=""))

    def _moment(self, entry: _Entry) -> float:
        # As of the last sweep, so that nobody reads a state that watchers were not told.
        return max(self._judged_at, entry.heard)

    def _health(self, entry: _Entry, moment: float) -> Health:
        tasks = entry.worker.active_tasks
        health = health_of(entry.heard, moment, self._policy, active_tasks=tasks, link=standing(entry.links))
        return held(health, entry.state, self._freeze) if self._freeze else health


def _matches(worker: Worker, query: PageQuery) -> bool:
    serves = not query.queue or any(served.name == query.queue for served in worker.spec.queues)
    return serves and worker.owner.seen_by(query.whose)


def _kept(known: _Entry | None, worker: Worker) -> Links:
    """The links that outlive a registration: open ones of the same instance."""
    if known is None or known.worker.instance_id != worker.instance_id:
        return {}
    return opened(known.links)


def _refuse_superseded(worker: Worker, instance_id: str) -> None:
    if worker.instance_id != instance_id:
        raise Aborted(
            f"another instance registered as {worker.worker_id!r} after {instance_id!r}; stop this one",
            reason="INSTANCE_SUPERSEDED",
            metadata={"worker_id": worker.worker_id},
        )
