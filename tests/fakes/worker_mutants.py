"""Our own worker with one thing wrong: each says which scenes of the conformance suite have to see it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devteam_worker import link, registration, transcript
from devteam_worker.convert import router as convert
from devteam_worker.desk import Desk, RejectReason
from devteam_worker.domain import AttemptId, Occupied
from devteam_worker.draining import Draining
from devteam_worker.in_hand import InHand
from devteam_worker.link import Link
from devteam_worker.outbox import Outbox
from devteam_worker.registration import Registration
from devteam_worker.runs import Runs
from devteam_worker.transcript import Transcript
from devteam_worker.words import Accepted, Beat

from devteam.mesh import options
from devteam.mesh.errors import Aborted, NotFound, Unavailable
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.tasks import Backoff
from devteam.v1 import registry_pb2, run_pb2, worker_pb2


@dataclass(frozen=True, slots=True)
class Mutant:
    """`owner.name` is replaced by `make` of what it was; `scenes` see it, and say so in these words among others."""

    what: str
    scenes: Mapping[str, str]
    owner: Any
    name: str
    make: Callable[[Any], Any]


def instead(replacement: Any) -> Callable[[Any], Any]:
    """Whatever it was."""
    return lambda _: replacement


async def _nothing(*_: object) -> None:
    pass


def _silently(*_: object, **__: object) -> None:
    pass


def _queue_twice(real: Any) -> Any:
    def declared(declaration: Any) -> registry_pb2.WorkerSpec:
        spec: registry_pb2.WorkerSpec = real(declaration)
        spec.queues.append(spec.queues[0])
        return spec

    return declared


def _once(real: Any) -> Any:
    async def register(self: Registration) -> None:
        if not self.session_token:
            await real(self)

    return register


def _without_token(real: Any) -> Any:
    return lambda declaration, _, named, occupied: real(declaration, "", named, occupied)


def _same_number(real: Any) -> Any:
    return lambda word: real(Beat(7) if isinstance(word, Beat) else word)


async def _beats_for_ever(self: Link, _: object, attached: worker_pb2.Attached) -> None:
    number = 0
    while True:
        number += 1
        self._outbox.answer(Beat(number))
        await asyncio.sleep(attached.beat_interval.ToMilliseconds() / 1000)


def _unanswered(real: Any) -> Any:
    def answer(self: Outbox, word: Any) -> None:
        if not isinstance(word, Accepted):
            real(self, word)

    return answer


def _with_gaps(real: Any) -> Any:
    return lambda attempt, first_seq, tokens: real(attempt, first_seq + (first_seq > 1), tokens)


def _counts_one_too_many(real: Any) -> Any:
    def report(word: Any) -> run_pb2.Report:
        said: run_pb2.Report = real(word)
        said.last_seq += 1
        return said

    return report


def _from_the_start(real: Any) -> Any:
    return lambda self, _: real(self, 0)


def _outspoken(real: Any) -> Any:
    def introduce(self: Runs, router: str) -> Any:
        named = real(self, router)
        for item in named:
            item.silent = item.report_sent = False
        return named

    return introduce


def _reported_once(real: Any) -> Any:
    def resume(self: Runs, attempt: AttemptId, after_seq: int, router: str = "") -> None:
        item = self.get(attempt)
        sent = item is not None and item.report_sent
        real(self, attempt, after_seq, router)
        if item is not None:
            item.report_sent = sent

    return resume


def _names_nothing(real: Any) -> Any:
    def introduce(self: Runs, router: str) -> Any:
        real(self, router)
        return []

    return introduce


def _one_slot(_: Any) -> Any:
    return lambda _self, _assignment, runs: (RejectReason.BUSY, "busy") if runs.active() else None


def _cancels_whatever_the_attempt(real: Any) -> Any:
    def cancel(self: Runs, attempt: AttemptId, router: str = "", *, fenced: bool) -> None:
        for item in self:
            if item.id.task_id == attempt.task_id:
                real(self, item.id, router, fenced=fenced)

    return cancel


def _never_fences(real: Any) -> Any:
    return lambda self, attempt, router="", *, fenced: real(self, attempt, router, fenced=False)


def _in_ascii(real: Any) -> Any:
    def token(token: Any) -> run_pb2.Token:
        said: run_pb2.Token = real(token)
        if said.text:
            said.text = said.text.encode().decode("ascii", errors="replace")
        return said

    return token


def _puzzled(real: Any) -> Any:
    def hear(self: Link, response: worker_pb2.ConnectResponse) -> None:
        if response.WhichOneof("item") is None:
            raise Unavailable("what is this?")
        real(self, response)

    return hear


def _own_deadline(real: Any) -> Any:
    return lambda self, _=None: real(self)


def _same_instance(real: Any) -> Any:
    return lambda self, prefix: "i-1" if prefix == "i" else real(self, prefix)


def _fights_on(real: Any) -> Any:
    async def beat(self: Registration) -> None:
        try:
            await real(self)
        except Aborted:
            raise NotFound("worker", "w1") from None

    return beat


async def _hastily(_: Registration) -> None:
    await asyncio.sleep(0.005)


async def _lazily(_: Backoff) -> None:
    await asyncio.sleep(60)


async def _without_pause(_: Backoff) -> None:
    await asyncio.sleep(0)


MUTANTS = (
    Mutant(
        "declares a queue twice",
        {"registers": "as another queue's"},
        registration,
        "declaration_to_proto",
        _queue_twice,
    ),
    Mutant("registers but once", {"registers-again": "did not register"}, Registration, "register", _once),
    Mutant(
        "beats without a pause",
        {"beats-at-its-pace": "told to beat every 0.1 s"},
        Registration,
        "_wait_for_turn",
        instead(_hastily),
    ),
    Mutant(
        "attaches without its token",
        {"attaches-first": "without the session token"},
        link,
        "attach_to_proto",
        _without_token,
    ),
    Mutant(
        "does not count its beats",
        {"beats-on-the-stream": "its beats had the numbers [7, 7,"},
        link,
        "word_to_proto",
        _same_number,
    ),
    Mutant(
        "waits for a mute router",
        {"dials-again-when-unheard": "no new stream came"},
        Link,
        "_beat",
        instead(_beats_for_ever),
    ),
    Mutant("pauses for a minute", {"outlives-its-router": "no new stream came"}, Backoff, "pause", instead(_lazily)),
    Mutant(
        "attaches with nothing",
        {"goes-on-while-its-router-drains": "did not name the run"},
        Runs,
        "introduce",
        _names_nothing,
    ),
    Mutant(
        "never pauses",
        {"does-not-fight-for-its-stream": "times within a second"},
        Backoff,
        "pause",
        instead(_without_pause),
    ),
    Mutant("does not accept", {"accepts-at-once": "was `tokens`"}, Outbox, "answer", _unanswered),
    Mutant(
        "leaves gaps",
        {"streams-its-answer": "was due, and the batch began with"},
        convert,
        "_tokens_to_proto",
        _with_gaps,
    ),
    Mutant(
        "sends large batches", {"streams-its-answer": "one batch had"}, transcript, "MAX_BATCH_TOKENS", instead(10_000)
    ),
    Mutant(
        "miscounts in its report",
        {"streams-its-answer": "the report says last_seq 5121"},
        convert,
        "report_to_proto",
        _counts_one_too_many,
    ),
    Mutant("knows no window", {"keeps-to-the-window": "in a window of 2000"}, Transcript, "room", instead(_nothing)),
    Mutant(
        "resumes at the start", {"resumes-where-it-is-told": "seq 7 was due"}, Transcript, "rewind", _from_the_start
    ),
    Mutant(
        "speaks unasked",
        {"resumes-where-it-is-told": "before it was asked to", "repeats-its-report": "before it was asked to"},
        Runs,
        "introduce",
        _outspoken,
    ),
    Mutant("reports once", {"repeats-its-report": "had not ended in `completion`"}, Runs, "resume", _reported_once),
    Mutant(
        "hears no resume", {"releases-what-it-does-not-have": "nothing was said"}, Link, "_resume", instead(_silently)
    ),
    Mutant("has one slot", {"rejects-nothing-else": "REJECT_REASON_BUSY"}, Desk, "refusal", _one_slot),
    Mutant(
        "takes everything",
        {"rejects-beyond-its-slots": "was `accepted`", "rejects-what-it-does-not-serve": "was `accepted`"},
        Desk,
        "refusal",
        instead(_silently),
    ),
    Mutant(
        "has the slots it declared",
        {"follows-slots": "REJECT_REASON_BUSY"},
        Desk,
        "_limit",
        instead(lambda _, queue: queue.concurrency),
    ),
    Mutant(
        "hears no cancel",
        {
            "stops-when-cancelled": "had not ended in `cancellation`",
        },
        Runs,
        "cancel",
        instead(_silently),
    ),
    Mutant(
        "is never fenced",
        {"forgets-what-is-fenced": "still had the run", "forgets-what-has-ended-and-is-fenced": "it spoke of the run"},
        Runs,
        "cancel",
        _never_fences,
    ),
    Mutant(
        "knows no attempts",
        {"ignores-unknown-runs": "ended in `cancellation`"},
        Runs,
        "cancel",
        _cancels_whatever_the_attempt,
    ),
    Mutant(
        "reads no large messages",
        {"takes-large-prompts": "the stream ended"},
        options,
        "CLIENT",
        instead((("grpc.max_receive_message_length", 65_536),)),
    ),
    Mutant(
        "knows ASCII only", {"keeps-characters-whole": "could not be decoded"}, convert, "_token_to_proto", _in_ascii
    ),
    Mutant("breaks on what is new", {"ignores-the-future": "the stream ended"}, Link, "_hear", _puzzled),
    Mutant(
        "is silent about others",
        {"links-to-every-router": "did not hear of the slot"},
        Outbox,
        "_taken_by_others",
        instead(lambda _: Occupied()),
    ),
    Mutant(
        "offers nothing",
        {"offers-what-has-lost-its-router": "was not offered"},
        InHand,
        "unknown_to",
        instead(lambda *_: False),
    ),
    Mutant(
        "releases nothing",
        {"tells-who-has-lost-a-run": "nothing was said"},
        InHand,
        "taken_from",
        instead(lambda *_: False),
    ),
    Mutant(
        "drains as long as it likes",
        {"hands-back-at-the-deadline": "had not ended in `hand_back`"},
        Draining,
        "wish",
        _own_deadline,
    ),
    Mutant(
        "hands back at once",
        {"finishes-before-it-leaves": "ended in `hand_back`"},
        Draining,
        "expired",
        instead(_nothing),
    ),
    Mutant(
        "takes no leave", {"finishes-before-it-leaves": "did not deregister"}, Registration, "leave", instead(_nothing)
    ),
    Mutant("is always the same", {"fresh-instance": "was i-1 both times"}, TimeOrderedIds, "new", _same_instance),
    Mutant("does not give up its id", {"superseded-instance": "it kept its stream"}, Registration, "_beat", _fights_on),
)
