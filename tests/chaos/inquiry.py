"""What one Router knows by itself, without asking the other one."""

import asyncio
from collections.abc import Iterable

import grpc

from devteam.v1 import router_pb2, router_pb2_grpc

_TIMEOUT = 10.0


class Inquiry:
    """Asks the Router at `address`, on a connection of its own: a Router that was killed is found again at once."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def standing(self, tasks: Iterable[str]) -> dict[str, str]:
        """How it has these tasks: as "waiting" or as "assigned". Those that it does not know are left out."""
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            answers = {task: asyncio.create_task(_standing(stub, task)) for task in tasks}
            return {task: found for task, answer in answers.items() if (found := await answer)}

    async def slots(self, queue: str) -> int:
        """How many slots of a queue it can give work to, taken or free."""
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            answer = await stub.ListQueues(router_pb2.ListQueuesRequest(local=True), timeout=_TIMEOUT)
            return sum(known.slots for known in answer.queues if known.name == queue)


async def _standing(stub: "router_pb2_grpc.RouterServiceAsyncStub", task: str) -> str | None:
    try:
        answer = await stub.Explain(router_pb2.ExplainRequest(task_id=task, local=True), timeout=_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return answer.WhichOneof("answer")
