"""How a process of the mesh ends: its exit code, and one sentence on stderr for whoever started it."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import IntEnum
from typing import Any, NoReturn

from devteam.mesh import errors


class Exit(IntEnum):
    """Exit codes; 64, 69 and 78 are those of sysexits.h, and a supervisor can tell them apart."""

    FAILED = 1
    # The command line is wrong.
    USAGE = 64
    # Something that is needed cannot be reached: the same start may succeed later.
    UNAVAILABLE = 69
    # The settings are wrong, or contradict the machine or the mesh: the same start will fail again.
    CONFIG = 78
    INTERRUPTED = 130


# Python's own are (700, 10, 10). Where much is alive, to look at 10,000 new objects takes up to 20 ms.
_COLLECT_AFTER = (10_000, 3, 3_000)

_SUPERSEDED = "INSTANCE_SUPERSEDED"

_CODES: tuple[tuple[type[errors.DevTeamError], Exit], ...] = (
    (errors.Unavailable, Exit.UNAVAILABLE),
    (errors.DeadlineExceeded, Exit.UNAVAILABLE),
    (errors.ResourceExhausted, Exit.UNAVAILABLE),
    (errors.Aborted, Exit.FAILED),
    (errors.Internal, Exit.FAILED),
)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main` to its end. What it refuses with becomes lines on stderr and an exit code, never a traceback.

    Ctrl-C before anybody listens for it is exit code 130. Defects are raised as they are. Raises SystemExit.
    """
    collect_rarely()
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None
    except (errors.DevTeamError, ExceptionGroup) as failed:
        refusal = _refusal_in(failed)
        if refusal is None:
            raise
        complain(refusal)
        raise SystemExit(code_of(refusal)) from None


def collect_rarely() -> None:
    """Have Python look for garbage in cycles more rarely than it does by itself.

    It walks over all that lives whenever that has grown by a quarter: with tens of thousands of calls open this takes
    about a second, in which nothing else happens.
    """
    gc.set_threshold(*_COLLECT_AFTER)


def code_of(error: errors.DevTeamError) -> Exit:
    """The exit code for `error`; whatever somebody has to change first is CONFIG."""
    # Another process has its id. Started again, each would take it from the other for ever.
    if error.reason == _SUPERSEDED:
        return Exit.CONFIG
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.CONFIG)


def complain(error: errors.DevTeamError) -> None:
    """Say on stderr what is wrong: one line, or one for each violation."""
    lines = [error.message]
    if isinstance(error, errors.InvalidInput):
        lines = [f"{v.field}: {v.message}" if v.field else v.message for v in error.violations]
    for line in lines:
        print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the process's last words


def whole(work: Callable[[], object]) -> NoReturn:
    """Run what this process is there for, and `leave`. Defects are raised as they are."""
    try:
        work()
    except SystemExit as ended:
        leave(ended)
    leave(SystemExit(0))


def leave(ended: SystemExit) -> NoReturn:
    """End the process with this exit code, without taking the interpreter apart. What was written is flushed.

    To take apart all that was imported costs a fourth of what a command does in all. And some processes have threads of
    a native library that go on to the end, as Temporal's do: one that calls on an interpreter which is being taken
    apart aborts the process, after all of its work is done.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def end_at_next_signal() -> None:
    """From now on SIGINT and SIGTERM end the process at once: whoever sends another one does not want to wait.

    To be called within the loop that heard the first.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Taken from whoever listens: at its end it would give SIGINT back to Python, which unwinds everything first.
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


def _refusal_in(failed: Exception) -> errors.DevTeamError | None:
    """The first refusal of a group that holds nothing else; None when a defect is among them."""
    if isinstance(failed, errors.DevTeamError):
        return failed
    if not isinstance(failed, ExceptionGroup):
        return None
    refusals = [_refusal_in(each) for each in failed.exceptions]
    return None if None in refusals else refusals[0]
