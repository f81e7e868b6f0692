"""Frames in great numbers against a real server, and what may be said of the answers."""

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.fakes.mutations import Mutator, Vocabulary

FRAMES = int(os.environ.get("DEVTEAM_FUZZ_FRAMES", "10000"))
# With -m slow.
NIGHTLY_FRAMES = 50_000
SEED = os.environ.get("DEVTEAM_FUZZ_SEED") or str(SystemRandom().randrange(10**9))
# Of all frames, how many each of the storms sends.
SHARES = {
    "worker stream": 0.4,
    "registry": 0.2,
    "router": 0.2,
    "planner": 0.2,
    "access": 0.04,
    "over TLS": 0.04,
    "through Envoy": 0.01,
    "JSON": 0.004,
}

# An answer later than this is none: far above what is promised, for machines that others load.
PATIENCE = 60.0
# What is promised. Half of all answers must keep it wherever this runs; the report says what the slowest took.
PROMISED = 1.0
_AT_A_TIME = 32
_LEAK = re.compile(
    r"Traceback|\b[A-Z]\w*(?:Error|Exception)\b|0x[0-9a-f]{5,}|site-packages|\.py\b|<class |object at "
    r"|(?i:sqlalchemy|sqlite|psycopg|asyncio|protobuf|temporalio)"
)
# What gRPC itself refuses before there is a handler that could say more.
_OF_THE_LIBRARY = "Received message larger than max"


def share(of: str, frames: int) -> int:
    """How many of all frames this storm sends."""
    return -(-int(frames * 1000 * SHARES[of]) // 1000)


def random_for(name: str) -> Random:
    """Its own dice for every storm, all of them from one seed."""
    return Random(f"{SEED}/{name}")


@dataclass(slots=True)
class Answers:
    """What came back, how fast, and everything that was wrong with it."""

    took: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

    def note(self, call: str, error: grpc.aio.AioRpcError | None, seconds: float, request: bytes) -> None:
        """One answer; `error` is None for a good one."""
        code = grpc.StatusCode.OK if error is None else error.code()
        self.took.append(seconds)
        self.codes[code.name] += 1
        if error is not None and (fault := _fault(error)):
            self.faults.setdefault(f"{call}: {fault}: {error.details()}"[:500], request[:1000].hex())

    def late(self, call: str, request: bytes) -> None:
        """No answer came."""
        self.faults.setdefault(f"{call}: no answer", request[:1000].hex())

    def judge(self) -> str:
        """Fail if anything was wrong; else say how long answers took."""
        found = "\n".join(f"{fault}\n    after {request}" for fault, request in self.faults.items())
        assert not self.faults, f"again with DEVTEAM_FUZZ_SEED={SEED}:\n{found}"
        took = sorted(self.took)
        p50, slow = took[len(took) // 2], took[int(len(took) * 0.999)]
        assert p50 < PROMISED, f"half of the answers took longer than {p50:.3f} s"
        codes = dict(self.codes)
        return f"{len(took)} answers, p50 {p50:.4f} s, p99.9 {slow:.4f} s, longest {took[-1]:.4f} s, {codes}"


def _fault(error: grpc.aio.AioRpcError) -> str:
    if error.code() in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return error.code().name
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError will do
    said = str(status) if status else error.details() or ""
    if leak := _LEAK.search(said):
        return f"{error.code().name} tells {leak.group()!r}"
    if status is None:
        return "" if _OF_THE_LIBRARY in said else f"{error.code().name} without details"
    if sum(detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR) for detail in status.details) != 1:
        return f"{error.code().name} without one ErrorInfo"
    return ""


@dataclass(slots=True)
class Storm:
    """Mutated requests to every RPC of a service that takes one request."""

    channel: grpc.aio.Channel
    methods: Sequence[MethodDescriptor]
    mutator: Mutator
    random: Random
    answers: Answers = field(default_factory=Answers)
    sent: int = 0

    async def blow(self, frames: int, between: Callable[[], Awaitable[None]]) -> None:
        """Send so many, some at a time; `between` is awaited after each lot."""
        while self.sent < frames:
            lot = [self.random.choice(self.methods) for _ in range(_AT_A_TIME)]
            async with asyncio.TaskGroup() as group:
                for method in lot:
                    group.create_task(self._send(method, self.mutator.request(method.input_type)))
            self.sent += len(lot)
            await between()

    async def _send(self, method: MethodDescriptor, request: bytes) -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        started, error = time.perf_counter(), None
        try:
            async with asyncio.timeout(PATIENCE):
                if method.server_streaming:
                    await self._first_of(path, request)
                else:
                    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(path)
                    await call(request)
        except grpc.aio.AioRpcError as refusal:
            error = refusal
        except TimeoutError:
            self.answers.late(method.name, request)
        self.answers.note(method.name, error, time.perf_counter() - started, request)

    async def _first_of(self, path: str, request: bytes) -> None:
        start: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(path)
        call = start(request)
        try:
            await call.read()
        finally:
            call.cancel()


async def no_more_tasks_than(before: int) -> None:
    """Return once no more tasks run than did before (gRPC itself makes a new one after each call)."""
    try:
        async with asyncio.timeout(PATIENCE):
            while _running().total() > before:  # noqa: ASYNC110 - nobody tells when a task has ended
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{before} tasks have become {_running()}") from None


def _running() -> Counter[str]:
    """Tasks by what they do, but for those of gRPC's client: it leaves some behind when a write comes too late."""
    names = [getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks()]
    return Counter(name for name in names if not name.startswith("_AioCall."))


def storm(name: str, channel: grpc.aio.Channel, methods: Sequence[MethodDescriptor], words: Vocabulary) -> Storm:
    """A storm with dice of its own."""
    random = random_for(name)
    return Storm(channel, [m for m in methods if not m.client_streaming], Mutator(random, words), random)
