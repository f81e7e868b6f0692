"""A lock that a child process holds for as long as it lives, whatever becomes of the process that started it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOOK_AGAIN = 0.05


@asynccontextmanager
async def inherited_lock(path: Path, patience: float) -> AsyncIterator[int]:
    """Lock the file, which is made if need be, and give its descriptor: whoever inherits it has the lock, too.

    Raises TimeoutError when somebody else has it for so many seconds on end.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        async with asyncio.timeout(patience):
            while not _locked(descriptor):  # noqa: ASYNC110 - the system tells nobody that a lock is free
                await asyncio.sleep(_LOOK_AGAIN)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody has the lock now."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
