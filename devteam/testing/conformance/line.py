"""One stream of the worker's, at the Router's end."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from devteam.mesh.clock import Clock
from devteam.mesh.tasks import cancelled
from devteam.testing.conformance.news import News
from devteam.testing.conformance.verdict import Missed
from devteam.v1 import worker_pb2 as pb


class AttemptId(NamedTuple):
    """The n-th attempt of a task."""

    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Policy:
    """What a worker is told when it is let in; times in seconds."""

    beat: float = 0.5
    beat_timeout: float = 10.0
    window_bytes: int = 1024 * 1024
    # Its beats are not acknowledged.
    mute: bool = False


@dataclass(frozen=True, slots=True)
class StreamBeat:
    """A beat of the worker's, and when it came on the monotonic clock."""

    moment: float
    number: int


class Line:
    """Words about a run are kept until a scene asks for them, those of each run in their order."""

    def __init__(self, attach: pb.Attach, policy: Policy, complaints: list[str], news: News, clock: Clock) -> None:
        self.attach = attach
        self.policy = policy
        self.opened = clock.monotonic()
        self.beats: list[StreamBeat] = []
        # What others take, as it was told last, and the runs that are to be had.
        self.occupied = attach.occupied
        self.offered: list[pb.RunningAttempt] = []
        self.over = False
        self._complaints = complaints
        self._news = news
        self._clock = clock
        self._words: defaultdict[AttemptId, deque[pb.ConnectRequest]] = defaultdict(deque)
        self._down: asyncio.Queue[pb.ConnectResponse | Exception | None] = asyncio.Queue()
        attached = pb.Attached(window_bytes=policy.window_bytes, router_id="conformance")
        attached.beat_interval.FromTimedelta(timedelta(seconds=policy.beat))
        attached.beat_timeout.FromTimedelta(timedelta(seconds=policy.beat_timeout))
        self.say(pb.ConnectResponse(attached=attached))

    def say(self, response: pb.ConnectResponse) -> None:
        """Tell the worker."""
        self._down.put_nowait(response)

    def cancel(self, attempt: AttemptId, *, fenced: bool = False) -> None:
        """Stop it."""
        reason = pb.CANCEL_REASON_FENCED if fenced else pb.CANCEL_REASON_REQUESTED
        self.say(pb.ConnectResponse(cancel=pb.Cancel(**attempt._asdict(), reason=reason)))

    def resume(self, attempt: AttemptId, after_seq: int) -> None:
        """Go on with it."""
        self.say(pb.ConnectResponse(resume=pb.Resume(**attempt._asdict(), after_seq=after_seq)))

    def ack_tokens(self, attempt: AttemptId, seq: int) -> None:
        """Its tokens are stored."""
        self.say(pb.ConnectResponse(tokens_ack=pb.TokensAck(**attempt._asdict(), seq=seq)))

    def ack_report(self, attempt: AttemptId) -> None:
        """Its report is stored."""
        self.say(pb.ConnectResponse(report_ack=pb.ReportAck(**attempt._asdict())))

    def drain(self, reason: "pb.Drain.Reason.ValueType", deadline: float | None = None) -> None:
        """Assign no more; `deadline` in seconds."""
        drain = pb.Drain(reason=reason)
        if deadline is not None:
            drain.deadline.FromTimedelta(timedelta(seconds=deadline))
        self.say(pb.ConnectResponse(drain=drain))

    def cut(self, error: Exception | None = None) -> None:
        """End the stream, with this error or with none."""
        self.over = True
        self._down.put_nowait(error)

    def names(self, attempt: AttemptId) -> pb.RunningAttempt | None:
        """What `attach` says of it."""
        return next((item for item in self.attach.running if _id_of(item) == attempt), None)

    def offers(self, attempt: AttemptId) -> bool:
        """Whether it was offered."""
        return any(_id_of(item) == attempt for item in self.offered)

    def has_said(self, attempt: AttemptId) -> bool:
        """Whether there is a word about it that was not asked for yet."""
        return bool(self._words[attempt])

    async def about(self, attempt: AttemptId, within: float) -> pb.ConnectRequest:
        """The next word about it. Raises Missed."""
        words = self._words[attempt]
        await self._news.until(lambda: bool(words) or self.over, within)
        if words:
            return words.popleft()
        why = "the stream ended" if self.over else f"for {within:g} s"
        raise Missed(f"nothing was said about attempt {attempt.attempt} of {attempt.task_id}: {why}")

    async def serve(self, requests: AsyncIterator[pb.ConnectRequest]) -> AsyncGenerator[pb.ConnectResponse, None]:
        """Carry words in both directions until either end has enough."""
        listening = asyncio.create_task(self._listen(requests))
        try:
            while isinstance(item := await self._down.get(), pb.ConnectResponse):
                yield item
            if item is not None:
                raise item
        finally:
            self.over = True
            self._news.tell()
            await cancelled(listening)

    async def _listen(self, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        async for request in requests:
            self._hear(request)
            self._news.tell()
        self.cut()

    def _hear(self, request: pb.ConnectRequest) -> None:
        item = request.WhichOneof("item")
        match item:
            case "beat":
                self._hear_beat(request.beat.number)
            case "occupied":
                self.occupied = request.occupied
            case "offer":
                self.offered += request.offer.running
            case "attach":
                self._complaints.append("a second `attach` came on one stream")
            case "accepted" | "rejected" | "tokens" | "report" | "released":
                self._words[_id_of(getattr(request, item))].append(request)
            case _:
                self._complaints.append("a message without an item came")

    def _hear_beat(self, number: int) -> None:
        self.beats.append(StreamBeat(self._clock.monotonic(), number))
        if not self.policy.mute:
            self.say(pb.ConnectResponse(beat_ack=pb.BeatAck(number=number)))


def _id_of(word: Any) -> AttemptId:
    """Every word about a run names it."""
    return AttemptId(word.task_id, word.attempt)
