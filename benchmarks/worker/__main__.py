"""Measures workers, each a process of its own: `python -m benchmarks.worker [part ...]`."""

import argparse

from benchmarks.worker import suite
from devteam.mesh.logs import configure_logs
from devteam.mesh.process import collect_rarely


def main() -> None:
    """Do what the command line says."""
    parts = _parts()
    configure_logs("benchmarks", level="ERROR")
    collect_rarely()
    suite.measure(parts)


def _parts() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", type=_part, default=[*suite.PARTS], help=", ".join(suite.PARTS)
    )
    parts: list[str] = parser.parse_args().parts
    return parts


def _part(name: str) -> str:
    if name not in suite.PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(suite.PARTS)}")
    return name


if __name__ == "__main__":
    main()
