"""A worker whose models may look around in one folder, by a few commands that only read.

python examples/workers/shell_tool.py FOLDER, then

devteam task run --model sonnet --queue code --tool shell "What does the README of this project say?"
"""

import asyncio
import shlex
import subprocess
import sys
from pathlib import Path

from devteam_worker import DevTeamWorker, ToolError

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
READING = {"ls", "cat", "head", "tail", "wc", "grep"}

worker = DevTeamWorker(worker_id="reader", queues=["code"], concurrency=2)


@worker.tool
def shell(command: str) -> str:
    """Run one command in the project's folder: ls, cat, head, tail, wc or grep, with paths inside that folder."""
    words = _words(command)
    if not words or words[0] not in READING:
        raise ToolError(f"Only these commands are allowed: {', '.join(sorted(READING))}.")
    for word in words[1:]:
        # An option may bring a path along: grep --file=/etc/passwd.
        if (word.startswith("-") and "/" in word) or not (FOLDER / word).resolve().is_relative_to(FOLDER):
            raise ToolError(f"{word} is outside the folder.")
    ran = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - looked at above
    if ran.returncode:
        raise ToolError(ran.stderr.strip() or f"{words[0]} failed.")
    return ran.stdout or "(nothing)"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ToolError(f"No command line: {error}.") from None


if __name__ == "__main__":
    asyncio.run(worker.start())
