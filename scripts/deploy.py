"""What deploy/ holds that is made of something else: written anew, or compared with what is committed.

python -m scripts.deploy generate | check
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from scripts.locked import PROJECT, ROOT, image_needs, locked, needs_of
from scripts.sbom import bom

_MADE_BY = "Made by `python -m scripts.deploy generate`."


def requirements() -> str:
    """The lock's lines of what the image needs."""
    said = "What the container image installs: the part of requirements.lock that services, workers and the page need."
    return _pinned(said, image_needs())


def build_requirements() -> str:
    """The lock's lines of what builds the project's own wheel."""
    return _pinned(
        "What the image's wheel of this project is built with, out of requirements.lock.", needs_of("hatchling")
    )


def _pinned(said: str, names: Iterable[str]) -> str:
    pins = locked()
    lines = "".join(f"{pins[name].lines}\n" for name in names if name != PROJECT)
    return f"# {said}\n# {_MADE_BY}\n{lines}"


def sbom() -> str:
    """The image's bill of materials."""
    return bom(locked(), image_needs())


MADE: Mapping[str, Callable[[], str]] = {
    "deploy/requirements.txt": requirements,
    "deploy/requirements-build.txt": build_requirements,
    "deploy/sbom.cdx.json": sbom,
}


def stale() -> list[str]:
    """The files that are not what they would be if they were made now."""
    return [name for name, make in MADE.items() if _read(ROOT / name) != make()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(command: str) -> int:
    """Carry out one command; the exit code says whether all is well."""
    match command:
        case "generate":
            for name, make in MADE.items():
                (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
                (ROOT / name).write_text(make(), encoding="utf-8")
            return 0
        case "check":
            if found := stale():
                print(f"stale: {', '.join(found)}; run `python -m scripts.deploy generate`", file=sys.stderr)
            return bool(found)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
