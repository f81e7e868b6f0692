"""The least that any worker has to do: it writes messages to a stream, and reads that they have come.

`python -m benchmarks.worker.bare_stream PORT` attaches like a worker and says what it is assigned to say.
"""

import asyncio
import sys

import grpc
from google.protobuf import json_format

from benchmarks.worker.stamps import Speech, stamp
from devteam.v1 import run_pb2, worker_pb2, worker_pb2_grpc

# Messages that may be under way: of 64 tokens, about as many bytes as a run's window has.
_UNDER_WAY = 1_000

Call = grpc.aio.StreamStreamCall[worker_pb2.ConnectRequest, worker_pb2.ConnectResponse]


class BareStream:
    """One stream, which one writes to at a time."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._free = asyncio.Lock()
        self._room = asyncio.Semaphore(_UNDER_WAY)

    async def run(self) -> None:
        """Attach, and say what is assigned, until the stream ends."""
        await self._call.write(worker_pb2.ConnectRequest(attach=worker_pb2.Attach(worker_id="bare")))
        async with asyncio.TaskGroup() as group:
            while isinstance(response := await self._call.read(), worker_pb2.ConnectResponse):
                if response.HasField("tokens_ack"):
                    self._room.release()
                elif response.HasField("assign"):
                    group.create_task(self._say(response.assign.run))

    async def _say(self, run: run_pb2.Run) -> None:
        speech = Speech.of(json_format.MessageToDict(run.generation.options))
        made_before = _message(run.task_id, 1, [stamp()] * speech.burst)
        async for index in speech.times():
            await self._room.acquire()
            # Alone, a token says when it was made.
            await self._write(_message(run.task_id, index + 1, [stamp()]) if speech.burst == 1 else made_before)
        report = run_pb2.Report(task_id=run.task_id, attempt=1, last_seq=speech.tokens)
        report.completion.SetInParent()
        await self._write(worker_pb2.ConnectRequest(report=report))

    async def _write(self, message: worker_pb2.ConnectRequest) -> None:
        async with self._free:
            await self._call.write(message)


def _message(task_id: str, first_seq: int, texts: list[str]) -> worker_pb2.ConnectRequest:
    tokens = [run_pb2.Token(text=text) for text in texts]
    return worker_pb2.ConnectRequest(
        tokens=run_pb2.Tokens(task_id=task_id, attempt=1, first_seq=first_seq, tokens=tokens)
    )


async def _main(port: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await BareStream(worker_pb2_grpc.WorkerServiceStub(channel).Connect()).run()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
