"""What a worker must be able to read."""

from typing import TypeVar

from google.protobuf.message import Message

from devteam.testing.conformance.attempt import Attempt
from devteam.testing.conformance.line import AttemptId
from devteam.testing.conformance.stage import MODEL, QUEUE, Stage
from devteam.testing.conformance.verdict import Missed
from devteam.v1 import run_pb2, worker_pb2

_MEBIBYTE = 1024 * 1024
# More than a byte a character, more than a unit of UTF-16, joined, combining, from right to left, and quotes.
_TEXTS = "Grüße, 你好, שלום, \U0001f469\u200d\U0001f4bb, e\u0301, \U00010348, \"'\\\u2028 "
# Field 1000, of a length: "future".
_UNKNOWN_FIELD = b"\xc2\x3e\x06future"


M = TypeVar("M", bound=Message)


async def takes_large_prompts(stage: Stage) -> str:
    """A prompt of 1 MiB is taken and answered."""
    attempt = stage.assign(await stage.line(), {"tokens": 5, "tokens_per_second": 0}, prompt="word " * (_MEBIBYTE // 5))
    return await _answered(attempt)


async def keeps_characters_whole(stage: Stage) -> str:
    """A prompt in many scripts is answered, and no character is cut in two between tokens."""
    options = {"tokens": 100, "tokens_per_second": 0}
    attempt = stage.assign(await stage.line(), options, prompt=_TEXTS * 20)
    seen = await _answered(attempt)
    if "\ufffd" in attempt.text:
        raise Missed("its answer has characters that could not be decoded")
    return seen


async def ignores_the_future(stage: Stage) -> str:
    """Fields and items that it does not know are ignored."""
    line = await stage.line()
    line.say(_with_unknown_field(worker_pb2.ConnectResponse()))
    run = run_pb2.Run(task_id="t-future", attempt=1, prompt="What will be?", model=MODEL)
    run.generation.options.update({"tokens": 5, "tokens_per_second": 0})
    assign = worker_pb2.Assign(run=_with_unknown_field(run), queue=QUEUE)
    line.say(_with_unknown_field(worker_pb2.ConnectResponse(assign=_with_unknown_field(assign))))
    return await _answered(stage.follow(AttemptId(run.task_id, run.attempt), line))


async def _answered(attempt: Attempt) -> str:
    await attempt.accepted()
    await attempt.finished()
    attempt.close()
    return f"{attempt.last_seq} tokens"


def _with_unknown_field(message: M) -> M:
    return type(message).FromString(message.SerializeToString() + _UNKNOWN_FIELD)
