"""Keys of a terminal, and terminals that go away."""

import asyncio
import os
import sys

import pytest
from devteam_cli.keyboard import pressed


class Stdin:
    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def fileno(self) -> int:
        return self._terminal


@pytest.mark.parametrize("word", ["q", "xq", None], ids=["the key", "the key behind another", "the terminal is gone"])
async def test_the_key_or_the_end_of_the_terminal_ends_it(monkeypatch: pytest.MonkeyPatch, word: str | None) -> None:
    here, terminal = os.openpty()
    monkeypatch.setattr(sys, "stdin", Stdin(terminal))
    ended = asyncio.Event()
    with pressed("q", ended):
        if word is None:
            os.close(here)
        else:
            os.write(here, word.encode())
        async with asyncio.timeout(10):
            await ended.wait()
    os.close(terminal)
    if word is not None:
        os.close(here)


async def test_other_keys_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    here, terminal = os.openpty()
    monkeypatch.setattr(sys, "stdin", Stdin(terminal))
    ended = asyncio.Event()
    with pressed("q", ended):
        os.write(here, b"abc")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ended.wait()
    os.close(here)
    os.close(terminal)
