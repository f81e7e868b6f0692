"""What a container of the one image does: its first word picks the service, the rest are the service's.

    registry | router | planner                 a service, told by its DEVTEAM_... variables
    worker [COMMAND ...]                        devteam-worker, which starts one unless told otherwise
    ui | migrate ...                            the commands of devteam
    devteam ... | devteam-worker ...            either command, as it is

The process becomes the one that is asked for, so that signals reach it and no shell is needed.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

SERVICES: Final = ("registry", "router", "planner")
_SHORT: Final = ("ui", "migrate")
# The commands; both are modules, too, for an image without a shell and a PATH.
_DEVTEAM, _WORKER = "devteam_cli", "devteam_worker"
_USAGE: Final = 64


def command_of(words: Sequence[str]) -> list[str]:
    """The module to run, and its arguments. Raises ValueError for words that mean nothing here."""
    first, *rest = words or [""]
    if first in SERVICES:
        if rest not in ([], ["--help"]):
            raise ValueError(
                f"{first} takes no arguments but --help: it is told by DEVTEAM_{first.upper()}_... variables"
            )
        return [f"devteam_{first}", *rest]
    if first == "worker":
        return [_WORKER, *(rest or ["start"])]
    if first == "devteam-worker":
        return [_WORKER, *rest]
    if first == "devteam":
        return [_DEVTEAM, *rest]
    if first in _SHORT:
        return [_DEVTEAM, first, *rest]
    known = ", ".join((*SERVICES, "worker", *_SHORT, "devteam", "devteam-worker"))
    raise ValueError(f"{first!r} is no service of this image; say one of {known}")


def main() -> NoReturn:
    """Become what the container's command asks for. Exit code 64: nothing."""
    try:
        command = command_of(sys.argv[1:])
    except ValueError as unknown:
        print(f"error: {unknown}", file=sys.stderr)  # noqa: T201 - the process's last words
        sys.exit(_USAGE)
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 - our own modules


if __name__ == "__main__":
    main()
