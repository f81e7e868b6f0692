"""Keys that are pressed while a command shows something, read one by one and not echoed."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def pressed(key: str, ended: asyncio.Event) -> Iterator[None]:
    """Set `ended` once that key is pressed, or the terminal is gone; it is as it was when the block ends.

    Where stdin is no terminal, or the terminal knows no keys, nothing is read.
    """
    try:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (ImportError, OSError, ValueError, termios.error):
        yield
        return
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            keys = os.read(terminal, 64)
        except OSError:
            keys = b""
        if not keys:
            # It would be readable for ever.
            loop.remove_reader(terminal)
        if not keys or key in keys.decode(errors="replace"):
            ended.set()

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
