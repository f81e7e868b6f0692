"""What is deployed of the gateway: the files of the wheel that are the same everywhere.

python scripts/gateway.py generate | check
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from devteam_cli.gateway.folder import shared

TARGET = Path(__file__).resolve().parent.parent / "deploy" / "envoy"


def files() -> Iterator[tuple[Path, bytes]]:
    """Every file with what it has to hold."""
    for name, content in shared():
        yield TARGET / name, content


def main(command: str) -> int:
    """Carry out one command; the exit code says whether all is well."""
    stale = [path for path, content in files() if not path.exists() or path.read_bytes() != content]
    if command == "generate":
        for path, content in files():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return 0
    for path in stale:
        print(f"stale: {path.relative_to(TARGET.parent.parent)}; run `python scripts/gateway.py generate` and commit")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
