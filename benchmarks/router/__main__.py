"""Measures the Router's core by itself, without a network: `python -m benchmarks.router [part ...]`."""

import argparse

from benchmarks.router import balance, litellm_process, suite
from devteam.mesh.logs import configure_logs
from devteam.mesh.process import collect_rarely


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    configure_logs("benchmarks", level="ERROR")
    collect_rarely()
    if asked.peers:
        litellm_process.install()
    suite.measure(asked.parts)
    if asked.plot:
        balance.plot()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.router", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", type=_part, default=[*suite.PARTS], help=", ".join(suite.PARTS)
    )
    parser.add_argument(
        "--peers", action="store_true", help="first install LiteLLM, apart from this project, to compare"
    )
    parser.add_argument("--plot", action="store_true", help="draw docs/images/balance.png as well; needs matplotlib")
    return parser.parse_args()


def _part(name: str) -> str:
    if name not in suite.PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(suite.PARTS)}")
    return name


if __name__ == "__main__":
    main()
