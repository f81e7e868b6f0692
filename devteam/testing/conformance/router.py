"""The Router's end of all streams of the worker."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, FailedPrecondition
from devteam.testing.conformance.line import Line, Policy
from devteam.testing.conformance.news import News
from devteam.v1 import worker_pb2, worker_pb2_grpc

_Context = Any


class ConformanceRouter(worker_pb2_grpc.WorkerServiceServicer):
    """Lets every stream in, with `policy`; while `refusing` holds an error, refuses with it. The newest stream wins."""

    def __init__(self, news: News, clock: Clock) -> None:
        self.policy = Policy()
        self.refusing: Exception | None = None
        # When the worker attached, let in or not.
        self.dials: list[float] = []
        self.complaints: list[str] = []
        self._news = news
        self._clock = clock
        self._line: Line | None = None

    @property
    def line(self) -> Line | None:
        """The stream that is open."""
        return None if self._line is None or self._line.over else self._line

    async def Connect(
        self, request_iterator: AsyncIterator[worker_pb2.ConnectRequest], context: _Context
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        """One stream."""
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None:
            return
        if first.WhichOneof("item") != "attach":
            self.complaints.append(f"the first word on a stream was `{first.WhichOneof('item')}`")
            raise FailedPrecondition("the first message is not `attach`", reason="PROTOCOL_ORDER")
        line = self._let_in(first.attach)
        async for response in line.serve(requests):
            yield response

    def _let_in(self, attach: worker_pb2.Attach) -> Line:
        self.dials.append(self._clock.monotonic())
        self._news.tell()
        if self.refusing is not None:
            raise self.refusing
        if self.line is not None:
            self.line.cut(Aborted("the worker attached anew", reason="SESSION_SUPERSEDED"))
        self._line = line = Line(attach, self.policy, self.complaints, self._news, self._clock)
        return line
