"""A reader at a keyboard, who does what a page says, from top to bottom, beside a mesh that runs."""

import ast
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.blocks import Block
from tests.e2e.programs import REPOSITORY, Program

PATIENCE = 60.0

# Programs that stay. A reader gives each a terminal of its own, and goes on once it says that it is ready.
_STAYS = {"devteam-worker start": "^Ready$", "devteam ui": "^Page: "}
# What a page calls something that only the reader's own mesh knows.
_PLACEHOLDER = re.compile(r"(?<![\w$/.{-])(TASK_ID|TASK|PLAN_ID|PLAN|WORKER|TRACE_ID)(?![\w=}])")
_TOOLS = re.compile(r"(?:^|[|(]\s*|\btimeout \d+ )(grpcurl|jq|kubectl|curl|node|docker|openssl)\b", re.MULTILINE)
# What looks at the mesh exits with 1 where something needs attention; on a mesh that others use, something may.
_PRELUDE = """\
set -a
told() { "$@" || [ $? = 1 ]; }
devteam() { case "$*" in *status*|*doctor*) told command devteam "$@";; *) command devteam "$@";; esac; }
devteam-worker() { case "$*" in *doctor*) told command devteam-worker "$@";; *) command devteam-worker "$@";; esac; }
"""
# A reader's variables last as long as the terminal.
_AFTERWORD = "\nenv -0 > .variables\n"
_NOT_OURS = ("BASH_FUNC_", "PWD=", "OLDPWD=", "SHLVL=", "_=")
_SNIPPET = """\
import asyncio

from devteam import DevTeamClient


async def main() -> None:
    async with DevTeamClient() as client:
        task = await client.get_task("TASK")
{body}

asyncio.run(main())
"""


@dataclass(slots=True)
class Visit:
    """One page's reader: a folder, an environment, and what was started and stays. `known` fills in placeholders."""

    folder: Path
    env: dict[str, str]
    known: Mapping[str, str]
    addresses: Mapping[str, str]
    _stays: ExitStack = field(default_factory=ExitStack)

    def write(self, block: Block) -> None:
        """Put a block into the file that the page says it is."""
        file = self.folder / block.note("file")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(block.text), encoding="utf-8")

    def shell(self, block: Block) -> None:
        """Type a block into a shell. What stays is left running beside it, and the rest goes on once it is ready."""
        for stays, lines in itertools.groupby(_commands(block).splitlines(), _stays):
            if stays:
                for line in lines:
                    self._start(self._here(line))
            else:
                self._type(block, self._here("\n".join(lines)))

    def python(self, block: Block) -> None:
        """Run a block as a program. One that awaits at its top has a `client` and a `task` that has ended."""
        file = self.folder / f"line_{block.line}.py"
        file.write_text(self._here(_program(block.text)), encoding="utf-8")
        self._run(block, sys.executable, str(file))

    def close(self) -> None:
        """Stop what stays, the latest first."""
        self._stays.close()

    def _type(self, block: Block, text: str) -> None:
        script = self.folder / ".block.sh"
        script.write_text(_PRELUDE + text + _AFTERWORD, encoding="utf-8")
        self._run(block, "bash", "-euo", "pipefail", str(script))
        self._remember(self.folder / ".variables")

    def _remember(self, variables: Path) -> None:
        if variables.exists():
            told = [entry for entry in variables.read_text().split("\0") if entry and not entry.startswith(_NOT_OURS)]
            self.env.update((name, value) for name, _, value in (entry.partition("=") for entry in told))

    def _start(self, line: str) -> None:
        ready = next(pattern for start, pattern in _STAYS.items() if line.strip().startswith(start))
        program = self._stays.enter_context(self._program(f"exec {line.partition(' #')[0].strip()}"))
        program.line(ready, PATIENCE)
        self._stays.callback(program.stop)

    def _run(self, block: Block, *command: str) -> None:
        if until := block.note("until"):
            self._listen(until, command)
            return
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.folder,
            env=self.env,
            check=False,
        )
        expected = int(block.note("exits") or 0)
        assert done.returncode == expected, f"{block.place} exits with {done.returncode}\n{done.stdout}{done.stderr}"

    def _listen(self, until: str, command: tuple[str, ...]) -> None:
        with self._program(f"exec {shlex.join(command)} 2>&1") as program:
            program.line(re.escape(until), PATIENCE)

    def _program(self, command: str) -> Program:
        return Program("bash", "-c", command, log=self.folder / "programs.log", env=self.env, folder=self.folder)

    def _here(self, text: str) -> str:
        """The text with this mesh's addresses and ids."""
        for shown, real in self.addresses.items():
            text = text.replace(shown, real)
        return _PLACEHOLDER.sub(lambda found: self.known[found[1].removesuffix("_ID")], text)


def missing_tools(block: Block, path: str) -> list[str]:
    """Programs that a block needs and that are not on `path`: they belong to the reader, not to the mesh."""
    return [tool for tool in dict.fromkeys(_TOOLS.findall(block.text)) if shutil.which(tool, path=path) is None]


def furnished(folder: Path) -> Path:
    """A copy of what a reader finds in a checkout, so that nobody changes the real one."""
    for name in ("examples", "deploy"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
    for name in ("docs", "proto"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def _commands(block: Block) -> str:
    """What is typed: in a block of `console` what stands behind a `$`, without what was said to be left out."""
    lines = block.text.splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    left_out = [note.partition(" (")[0] for note in block.notes.get("without", ())]
    return "\n".join(line for line in lines if not any(_is(line, command) for command in left_out))


def _is(line: str, command: str) -> bool:
    """Whether a line is this command, or begins as one that ends in dots."""
    typed = line.partition(" #")[0].strip()
    return typed.startswith(command.removesuffix(" ...")) if command.endswith(" ...") else typed == command


def _stays(line: str) -> bool:
    return line.strip().startswith(tuple(_STAYS))


def _program(text: str) -> str:
    """A program as it is, a snippet with what makes it one."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    tree = compile(text, "block", "exec", flags)
    awaits = any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in _top(tree))
    return _SNIPPET.format(body=textwrap.indent(text, " " * 8)) if awaits else text


def _top(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything that is not within a function of its own."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from _top(node)
