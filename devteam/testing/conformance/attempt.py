"""One attempt as the suite follows it, over as many streams as it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam.testing.conformance.line import AttemptId, Line
from devteam.testing.conformance.verdict import Missed, Skipped
from devteam.v1 import run_pb2, worker_pb2

MAX_BATCH_TOKENS = 256
MAX_BATCH_BYTES = 1024 * 1024
# "At once", on a machine that has other things to do as well.
AT_ONCE = 2.0


class Attempt:
    """Holds every batch against the contract; `patience` is for a word to come, in seconds."""

    def __init__(self, attempt: AttemptId, line: Line, patience: float) -> None:
        self.id = attempt
        # The stream that it was assigned or resumed on last.
        self.line = line
        self.tokens: list[run_pb2.Token] = []
        self.report: run_pb2.Report | None = None
        # The worker owes no word about it any more.
        self.closed = False
        self._patience = patience
        self._next = 1

    @property
    def last_seq(self) -> int:
        """Seq of the last token that was heard."""
        return len(self.tokens)

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(token.text for token in self.tokens)

    async def accepted(self) -> None:
        """Hear that it has started. Raises Missed."""
        word = await self.line.about(self.id, AT_ONCE)
        if word.WhichOneof("item") == "rejected":
            name = worker_pb2.RejectReason.Name(word.rejected.reason)
            raise Missed(f"the run was rejected: {name}, {word.rejected.message!r}")
        if word.WhichOneof("item") != "accepted":
            raise Missed(f"the answer to `assign` was `{word.WhichOneof('item')}`")

    async def rejected(self, reason: "worker_pb2.RejectReason.ValueType") -> None:
        """Hear that it was not taken, and why. Raises Missed."""
        word = await self.line.about(self.id, AT_ONCE)
        if word.WhichOneof("item") != "rejected":
            raise Missed(f"the answer to `assign` was `{word.WhichOneof('item')}`")
        if word.rejected.reason != reason:
            raise Missed(f"it was rejected as {worker_pb2.RejectReason.Name(word.rejected.reason)}")
        self.closed = True

    async def hear(self, until: int, *, ack: bool = True) -> None:
        """Listen until so many tokens are there. Raises Missed, or Skipped when it ended before that."""
        async with self._in_time(f"it had not said {until} tokens"):
            while self.last_seq < until or self._next <= self.last_seq:
                if await self._heard(ack=ack):
                    self.must_have("completion")
                    raise Skipped("the worker answered too quickly")

    async def finished(self, outcome: str = "completion", *, ack: bool = True) -> run_pb2.Report:
        """Listen until it is reported to have ended so. Raises Missed."""
        async with self._in_time(f"the run had not ended in `{outcome}`"):
            while not await self._heard(ack=ack):
                pass
        return self.must_have(outcome)

    async def quiet_after(self, seconds: float) -> bool:
        """Take words without an answer until none has come for so long; whether its report was among them."""
        while True:
            try:
                word = await self.line.about(self.id, seconds)
            except Missed:
                return self.report is not None
            self._take(word)

    def resume(self, line: Line, after_seq: int) -> None:
        """Have it go on here, after this seq."""
        self.line, self._next, self.report = line, after_seq + 1, None
        line.resume(self.id, after_seq)

    def close(self) -> None:
        """Acknowledge its report."""
        self.line.ack_report(self.id)
        self.closed = True

    async def given_up(self) -> None:
        """Whatever is still said about it, until its report; then acknowledge that. Raises Missed."""
        word = None
        async with self._in_time("it did not stop when it was cancelled"):
            while self.report is None and (word is None or word.WhichOneof("item") not in {"report", "rejected"}):
                word = await self.line.about(self.id, self._patience)
        self.close()

    async def forgotten(self) -> None:
        """See that the acknowledgement has arrived: the worker does not have it any more. Raises Missed."""
        self.line.resume(self.id, 0)
        word = await self.line.about(self.id, self._patience)
        if word.WhichOneof("item") != "released":
            raise Missed("it still had the run after `report_ack`")

    def must_have(self, outcome: str) -> run_pb2.Report:
        """Its report. Raises Missed unless it ended so, or Skipped where its answer came to its end before that."""
        assert self.report is not None
        kind = self.report.WhichOneof("outcome")
        if kind == "completion" != outcome:
            raise Skipped("the worker answered too quickly")
        if kind != outcome:
            detail = getattr(getattr(self.report, kind or "", None), "message", "")
            raise Missed(f"the run ended in `{kind}`" + (f": {detail}" if detail else ""))
        return self.report

    @asynccontextmanager
    async def _in_time(self, missed: str) -> AsyncIterator[None]:
        # Also what goes on talking for ever comes to its end here.
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError:
            raise Missed(f"{missed} after {self._patience:g} s") from None

    async def _heard(self, *, ack: bool) -> bool:
        """Take the next word; whether it was the last."""
        self._take(await self.line.about(self.id, self._patience))
        if ack and self.report is None:
            self.line.ack_tokens(self.id, self._next - 1)
        return self.report is not None

    def _take(self, word: worker_pb2.ConnectRequest) -> None:
        match word.WhichOneof("item"):
            case "tokens":
                self._take_tokens(word.tokens)
            case "report":
                self._take_report(word.report)
            case item:
                raise Missed(f"`{item}` came in the middle of a run")

    def _take_tokens(self, batch: run_pb2.Tokens) -> None:
        if self.report is not None:
            raise Missed("tokens came after the report")
        if len(batch.tokens) > MAX_BATCH_TOKENS or batch.ByteSize() > MAX_BATCH_BYTES:
            raise Missed(f"one batch had {len(batch.tokens)} tokens and {batch.ByteSize()} bytes")
        if batch.first_seq != self._next:
            raise Missed(f"seq {self._next} was due, and the batch began with {batch.first_seq}")
        for token in batch.tokens:
            if token.WhichOneof("content") is None:
                raise Missed(f"the token with seq {self._next} is empty")
            if self._next <= self.last_seq and self.tokens[self._next - 1] != token:
                raise Missed(f"the token with seq {self._next} was another one when it was sent again")
            self.tokens[self._next - 1 : self._next] = [token]
            self._next += 1

    def _take_report(self, report: run_pb2.Report) -> None:
        if self.report is not None:
            raise Missed("a second report came on one stream")
        if report.last_seq != self._next - 1:
            raise Missed(f"the report says last_seq {report.last_seq}, and the last token had seq {self._next - 1}")
        self.report = report
