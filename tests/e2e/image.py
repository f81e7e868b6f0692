"""The container image as far as it can be had without a container engine: its files, and what runs on them.

Built as deploy/Dockerfile says it: a wheel of the checkout in an environment that holds what deploy/requirements.txt
names and nothing else. What runs in it sees the whole machine read-only but for /data and /tmp of its own.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from scripts.locked import PROJECT, ROOT, image_needs
from tests.e2e.programs import Program, environment
from tests.fakes.build_context import in_context

# Everything below / turns read-only for this process and its children; then two places to write in are mounted.
_SCRIPT = """
mount --make-rprivate / &&
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -o remount,bind,ro / &&
mount -t tmpfs tmpfs "$0/data" && mount -t tmpfs tmpfs "$0/tmp" && cd "$0/data" && exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """Where its files are."""

    root: Path

    @property
    def site(self) -> Path:
        """Where Python finds what is installed."""
        return self.root / "opt" / "lib" / "python3.11" / "site-packages"

    def command(self, *words: str) -> tuple[str, ...]:
        """What a container with these words as its command would run."""
        python = str(self.root / "opt" / "bin" / "python")
        entry = (python, "-m", "devteam_cli.container", *words)
        return ("unshare", "--mount", "sh", "-c", _SCRIPT, str(self.root), *entry)

    def environment(self, **more: str) -> dict[str, str]:
        """As the Dockerfile sets it."""
        told = environment(**more)
        told.pop("PYTHONPATH", None)
        return told | {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self.root / "tmp"),
            "TMPDIR": str(self.root / "tmp"),
            "DEVTEAM_DATA": str(self.root / "data"),
        }

    def ran(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """One container, to its end."""
        return subprocess.run(
            self.command(*words), check=False, capture_output=True, text=True, timeout=100, env=self.environment(**env)
        )

    @contextmanager
    def running(self, *words: str, log: Path, **env: str) -> Iterator[Program]:
        """One container, stopped in good order when the block ends."""
        with Program(*self.command(*words), log=log, env=self.environment(**env)) as program:
            yield program
            assert program.stop() == 0


def build(folder: Path) -> Image:
    """Make the image's files below `folder`. Skips the test where a file system cannot be made read-only."""
    _refuse_where_nothing_can_be_mounted()
    image = Image(folder / "image")
    for name in ("opt", "data", "tmp"):
        (image.root / name).mkdir(parents=True)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", str(image.root / "opt")), check=True)
    for name in image_needs():
        if name != PROJECT:
            _install(name, image.site)
    wheel = _wheel(folder)
    _run(
        "pip", "--python", str(image.root / "opt" / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)
    )
    return image


def _wheel(folder: Path) -> Path:
    """Of what the build is sent, and not of what lies about in this checkout."""
    source = folder / "src"
    source.mkdir()
    for path in sorted(ROOT.iterdir()):
        if not in_context(ROOT, path.name):
            continue
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=_not_in_context)
        else:
            shutil.copy(path, source / path.name)
    _run("pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source))
    [wheel] = folder.glob("*.whl")
    return wheel


def _not_in_context(folder: str, names: list[str]) -> set[str]:
    here = Path(folder).relative_to(ROOT)
    return {name for name in names if not in_context(ROOT, str(here / name))}


def _install(name: str, site: Path) -> None:
    """Links to what is installed here stand in for what pip would fetch."""
    found = metadata.distribution(name)
    for top in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(str(found.locate_file(top)))


def _run(*arguments: str) -> None:
    subprocess.run((sys.executable, "-m", *arguments), check=True, capture_output=True, timeout=200)


def _refuse_where_nothing_can_be_mounted() -> None:
    probe = ("unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -o remount,bind,ro /")
    if not shutil.which("unshare") or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("to make a file system read-only takes rights that this machine does not give")
