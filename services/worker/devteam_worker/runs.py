"""The attempts that this worker has in hand."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, Self

import structlog

from devteam.mesh import names
from devteam.mesh.clock import Clock
from devteam_worker.domain import (
    Assignment,
    AttemptId,
    Cancelled,
    Emit,
    Failed,
    HandBackReason,
    HandedBack,
    Outcome,
    Spend,
)
from devteam_worker.in_hand import InHand
from devteam_worker.observation import observed
from devteam_worker.providers.base import FailureReason, Token
from devteam_worker.speech import speakable, tellable
from devteam_worker.transcript import Transcript, pieces_of

_log = structlog.get_logger()

# For the Router to hear, at the end of a drain, what was handed back; it finds out by itself otherwise.
_LAST_WORDS = 5.0


class Agent(Protocol):
    """Carries out assignments."""

    async def run(self, assignment: Assignment, emit: Emit, spend: Spend) -> Outcome:
        """Carry out one assignment, handing every token to `emit`, which may make it wait. Cancellation stops it.

        `spend` hears what its turns took, before it is over, whichever way.
        """


class Runs:
    """Starts, stops and remembers attempts, each bound to the Router at some address.

    `on_news` is called with the Router that there is something to say to, and with nothing when attempts have begun,
    ended or changed hands. An async context manager: leaving it stops whatever still runs.
    """

    def __init__(self, agent: Agent, on_news: Callable[[str], None], clock: Clock, *, window_bytes: int) -> None:
        self._agent = agent
        self._on_news = on_news
        self._clock = clock
        self._window_bytes = window_bytes
        self._in_hand: dict[AttemptId, InHand] = {}
        self._group = asyncio.TaskGroup()
        self._empty = asyncio.Event()
        self._empty.set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for item in self:
            if item.running and item.task is not None:
                item.task.cancel()  # also what takes its time to stop: the process does not wait for it
        await self._group.__aexit__(None, None, None)

    def __iter__(self) -> Iterator[InHand]:
        # A copy: runs come and go while it is read.
        return iter(list(self._in_hand.values()))

    def __contains__(self, attempt: AttemptId) -> bool:
        return attempt in self._in_hand

    def get(self, attempt: AttemptId) -> InHand | None:
        """That attempt, if it is in hand."""
        return self._in_hand.get(attempt)

    def active(self, queue: str | None = None) -> int:
        """Slots taken, over all queues or out of one."""
        items = self._in_hand.values()
        return sum(item.running and queue in {None, item.assignment.queue} for item in items)

    def start(self, assignment: Assignment, router: str = "") -> None:
        """Run this from now on, for this Router."""
        item = InHand(assignment, Transcript(self._window_bytes))
        item.bind(router)
        self._in_hand[assignment.id] = item
        self._empty.clear()
        item.task = self._group.create_task(self._carry_out(item), name=f"run {assignment.id.task_id}")
        item.task.add_done_callback(lambda _: self._ended(item))
        self._moved()

    def widen(self, window_bytes: int) -> None:
        """Take the Router's window from now on."""
        self._window_bytes = window_bytes
        for item in self._in_hand.values():
            item.transcript.widen(window_bytes)

    def cancel(self, attempt: AttemptId, router: str = "", *, fenced: bool) -> None:
        """Stop an attempt; a fenced one that has said its last word is forgotten.

        The Router keeps a slot for it until then: that word is said even where nobody wants to hear it. One that is
        bound to another Router cannot be fenced, only stopped.
        """
        item = self._in_hand.get(attempt)
        if item is None or (fenced and not item.heeds(router)):
            return
        if not item.router:
            self._bind(item, router)
        if item.running:
            self._stop_on_request(item, router)
        elif item.router == router:
            self._repeat_end(item, fenced=fenced)

    def resume(self, attempt: AttemptId, after_seq: int, router: str = "") -> None:
        """Go on with an attempt after this seq, for this Router, whoever had it before."""
        if item := self._in_hand.get(attempt):
            if item.silent and item.running and item.observation is not None:
                item.observation.note(names.EVENT_RESUMED)
            item.silent = item.report_sent = False
            item.transcript.rewind(after_seq)
            self._bind(item, router)
            self._on_news(router)

    def acknowledge(self, attempt: AttemptId, seq: int, router: str = "") -> None:
        """Tokens up to this seq are stored."""
        item = self._in_hand.get(attempt)
        if item is not None and item.heeds(router):
            item.transcript.acknowledge(seq)

    def forget(self, attempt: AttemptId, router: str = "") -> None:
        """The report is stored: let the attempt go."""
        item = self._in_hand.get(attempt)
        if item is not None and item.heeds(router):
            self._let_go(item)

    def introduce(self, router: str) -> list[InHand]:
        """What this Router has to be told of when a stream to it begins: what is bound to it, or to nobody.

        Nothing is said about these until it asks for them.
        """
        named = []
        for item in self._in_hand.values():
            item.told.discard(router)
            if item.heeds(router):
                item.told.add(router)
                item.silent = True
                named.append(item)
        return named

    def silence(self, router: str = "") -> None:
        """The stream to this Router broke: say nothing about what is bound to it until it is asked for."""
        for item in self._in_hand.values():
            if item.router == router:
                item.silent = True

    def set_adrift(self, router: str) -> None:
        """The Router stays away: whoever wants what is bound to it may have it."""
        for item in self._in_hand.values():
            if item.router == router:
                item.router = ""
        self._moved()

    def stop_all(self) -> None:
        """Stop everything and forget it: nobody waits for it any longer."""
        for item in self:
            self._let_go(item)

    async def emptied(self) -> None:
        """Return once nothing is in hand."""
        await self._empty.wait()

    async def hand_back(self) -> None:
        """Stop what still runs, for somebody else to begin anew, and wait a little for the Router to hear of it."""
        for item in self:
            if item.running:
                item.stopped_as = HandedBack(HandBackReason.DRAINING, "the worker drains, and its deadline passed")
                self._stop(item)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._empty.wait()

    def _moved(self) -> None:
        self._on_news("")

    def _bind(self, item: InHand, router: str) -> None:
        if item.router != router:
            item.bind(router)
            self._moved()

    def _let_go(self, item: InHand) -> None:
        del self._in_hand[item.id]
        if item.running:
            self._stop(item)
        self._moved()
        if not self._in_hand:
            self._empty.set()

    def _stop_on_request(self, item: InHand, router: str) -> None:
        if item.router == router:
            item.silent = False
        if item.observation is not None and item.stopping_since is None:
            item.observation.note(names.EVENT_CANCEL_HEARD)
        self._stop(item)

    def _repeat_end(self, item: InHand, *, fenced: bool) -> None:
        if fenced and (item.silent or item.report_sent):
            self._let_go(item)
        elif item.silent:
            item.silent = item.report_sent = False
            self._on_news(item.router)

    def _stop(self, item: InHand) -> None:
        # Once only: a second cancellation would break off the first one's closing of the model's connection.
        if item.running and item.task is not None and item.stopping_since is None:
            item.stopping_since = self._clock.monotonic()
            item.task.cancel()

    async def _carry_out(self, item: InHand) -> None:
        async def emit(token: Token) -> None:
            for piece in pieces_of(speakable(token)):
                if item.outcome is not None:
                    return  # whatever did not stop when it was stopped is not heard any longer
                item.transcript.say(piece)
                if not item.silent:
                    self._on_news(item.router)
                await item.transcript.room()

        with observed(item.assignment) as item.observation:
            item.outcome = tellable(await self._outcome(item, emit))
            item.observation.ended(item.outcome, item.transcript.last_seq)

    def _ended(self, item: InHand) -> None:
        # A task that is cancelled before its first step never comes to say how it ended.
        item.outcome = item.outcome or item.stopped_as
        self._moved()

    async def _outcome(self, item: InHand, emit: Emit) -> Outcome:
        timeout = item.assignment.run_timeout
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._agent.run(item.assignment, emit, item.spend)
        except asyncio.CancelledError:
            # Cancelled by `_stop`: the task lives on, to say how it ended.
            return self._stopped(item)
        except Exception:  # noqa: BLE001 - a defect costs one run, not the worker
            if limit.expired():
                message = f"it ran longer than its run_timeout of {timeout:g} s"
                return Failed(FailureReason.TIMEOUT, message, retryable=True, usage=item.usage)
            _log.exception("run broke the worker's own code")
            message = "the worker failed in its own code; its log has the cause"
            return Failed(FailureReason.INTERNAL, message, retryable=True, usage=item.usage)

    def _stopped(self, item: InHand) -> Outcome:
        """The agent has let go of its model."""
        if item.observation is not None:
            item.observation.note(names.EVENT_MODEL_CLOSED)
        stopped = replace(item.stopped_as, usage=item.usage)
        if isinstance(stopped, Cancelled) and item.stopping_since is not None:
            return replace(stopped, took=self._clock.monotonic() - item.stopping_since)
        return stopped
