"""What one attempt has said, kept until it is stored at the other end."""

import asyncio
from collections.abc import Iterator, Sequence

from devteam_worker.providers.base import Progress, Text, Thinking, Token, ToolCall, ToolResult

MAX_BATCH_TOKENS = 256
# A batch has at most 1 MiB on the wire; the rest is for what stands around its tokens.
MAX_BATCH_BYTES = 1024 * 1024 - 1024
# Longer text goes out in pieces of so many characters, 64 KiB at most.
MAX_PIECE = 16 * 1024


class Transcript:
    """Tokens in order, from the first that is not acknowledged.

    `room` waits while more than `window_bytes` are unacknowledged: a slow far end slows the model down, and nothing is
    ever dropped.
    """

    def __init__(self, window_bytes: int) -> None:
        self._window_bytes = window_bytes
        self._tokens: list[Token] = []
        self._sizes: list[int] = []
        self._bytes = 0
        self._sent = 0
        self.first_kept = 1
        self._room = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The seq of the last token said; 0 when nothing was said."""
        return self.first_kept + len(self._tokens) - 1

    @property
    def unsent(self) -> bool:
        """Whether something waits to be sent."""
        return self._sent < self.last_seq

    def widen(self, window_bytes: int) -> None:
        """Take another window from now on."""
        self._window_bytes = window_bytes
        self._room.set()

    def say(self, token: Token) -> None:
        """Add a token, whatever is in flight."""
        size = size_of(token)
        self._tokens.append(token)
        self._sizes.append(size)
        self._bytes += size

    async def room(self) -> None:
        """Wait until no more than the window is unacknowledged."""
        while self._bytes > self._window_bytes:
            self._room.clear()
            await self._room.wait()

    def take(self) -> tuple[int, Sequence[Token]]:
        """The next tokens to send, and the seq of the first: all that wait, within the bounds of a batch."""
        start = self._sent + 1 - self.first_kept
        end, size = start, 0
        while end < len(self._tokens) and end - start < MAX_BATCH_TOKENS and (end == start or size < MAX_BATCH_BYTES):
            size += self._sizes[end]
            end += 1
        if size > MAX_BATCH_BYTES and end - start > 1:
            end -= 1
        first_seq, self._sent = self._sent + 1, self.first_kept + end - 1
        return first_seq, self._tokens[start:end]

    def rewind(self, after_seq: int) -> None:
        """Send again what comes after `after_seq`, as far as it is kept."""
        self._sent = min(max(after_seq, self.first_kept - 1), self.last_seq)

    def acknowledge(self, seq: int) -> None:
        """Forget tokens up to and including `seq`."""
        count = min(seq, self.last_seq) - self.first_kept + 1
        if count > 0:
            self._bytes -= sum(self._sizes[:count])
            del self._tokens[:count], self._sizes[:count]
            self.first_kept += count
            self._sent = max(self._sent, self.first_kept - 1)
            self._room.set()


def pieces_of(token: Token) -> Iterator[Token]:
    """The same token in pieces that fit into a window and into a batch. Only text can be cut."""
    match token:
        case Text(text) | Thinking(text) | Progress(text) if len(text) > MAX_PIECE:
            for start in range(0, len(text), MAX_PIECE):
                yield type(token)(text[start : start + MAX_PIECE])
        case _:
            yield token


def size_of(token: Token) -> int:
    """The bytes that a token takes on the wire, or a few more."""
    match token:
        case Text(text) | Thinking(text) | Progress(text):
            return len(text.encode()) + 8
        case ToolCall(call_id, name, arguments):
            return len(call_id.encode()) + len(name.encode()) + len(arguments.encode()) + 24
        case ToolResult(call_id, content, _, source):
            return len(call_id.encode()) + len(content.encode()) + len(source.encode()) + 28
