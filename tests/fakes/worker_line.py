"""A worker on the wire that says what a test tells it to."""

import asyncio
from collections.abc import Sequence

import grpc

from devteam.mesh.errors import DevTeamError
from devteam.mesh.status import from_rpc
from devteam.v1 import run_pb2, worker_pb2
from devteam.v1.worker_pb2_grpc import WorkerServiceStub
from tests.fakes.router_samples import token_of

_PATIENCE = 60.0


class WorkerLine:
    """One WorkerService.Connect stream. `hear` waits for the Router's next message."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._call = WorkerServiceStub(channel).Connect(metadata=tuple(metadata))

    async def attach(
        self,
        worker_id: str = "w1",
        *,
        instance_id: str = "i1",
        session_token: str | None = None,
        running: Sequence[worker_pb2.RunningAttempt] = (),
    ) -> worker_pb2.Attached:
        """Be this worker; the token is that of `a_worker` unless another one is given."""
        token = token_of(worker_id) if session_token is None else session_token
        attach = worker_pb2.Attach(worker_id=worker_id, instance_id=instance_id, session_token=token, running=running)
        await self.say(worker_pb2.ConnectRequest(attach=attach))
        return (await self.hear()).attached

    async def say(self, request: worker_pb2.ConnectRequest) -> None:
        await self._call.write(request)

    async def hear(self) -> worker_pb2.ConnectResponse:
        """The next message. Raises AioRpcError when the stream has ended in an error."""
        response = await asyncio.wait_for(self._call.read(), _PATIENCE)
        assert isinstance(response, worker_pb2.ConnectResponse), "the stream ended"
        return response

    async def accept(self, task_id: str, attempt: int = 1) -> None:
        await self.say(worker_pb2.ConnectRequest(accepted=worker_pb2.Accepted(task_id=task_id, attempt=attempt)))

    async def reject(self, task_id: str, attempt: int = 1) -> None:
        rejected = worker_pb2.Rejected(task_id=task_id, attempt=attempt, reason=worker_pb2.REJECT_REASON_BUSY)
        await self.say(worker_pb2.ConnectRequest(rejected=rejected))

    async def speak(self, task_id: str, first_seq: int, *texts: str, attempt: int = 1) -> None:
        """Send a batch of text tokens."""
        tokens = [run_pb2.Token(text=text) for text in texts]
        batch = run_pb2.Tokens(task_id=task_id, attempt=attempt, first_seq=first_seq, tokens=tokens)
        await self.say(worker_pb2.ConnectRequest(tokens=batch))

    async def complete(self, task_id: str, last_seq: int, attempt: int = 1) -> None:
        """Report that the run came to its end."""
        report = run_pb2.Report(
            task_id=task_id, attempt=attempt, last_seq=last_seq, completion=run_pb2.Completion(provider="sim")
        )
        await self.say(worker_pb2.ConnectRequest(report=report))

    async def confess(self, task_id: str, last_seq: int = 0, attempt: int = 1) -> None:
        """Report that the run was stopped because it was cancelled."""
        report = run_pb2.Report(
            task_id=task_id, attempt=attempt, last_seq=last_seq, cancellation=run_pb2.Cancellation()
        )
        await self.say(worker_pb2.ConnectRequest(report=report))

    async def said_everything(self) -> None:
        """Close this half of the stream."""
        await self._call.done_writing()

    async def ended(self) -> tuple[grpc.StatusCode, DevTeamError | None]:
        """Listen until the stream ends; the status, and the error that it stands for.

        Who is let in instead of being refused would wait for an end that does not come: that fails at once.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                while isinstance(heard := await self._call.read(), worker_pb2.ConnectResponse):
                    assert heard.WhichOneof("item") != "attached", "it was let in"
        except grpc.aio.AioRpcError as error:
            return error.code(), from_rpc(error)
        return await self._call.code(), None

    def hang_up(self) -> None:
        """The line breaks."""
        self._call.cancel()
