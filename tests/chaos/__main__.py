"""`python -m tests.chaos`: plays the faults and prints the table of docs/reliability.md."""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.report import heading, rows
from tests.chaos.stage import perform


def main() -> int:
    """Play what is asked for; 0 if everything that is required was kept."""
    asked = _arguments()
    print(f"seed {asked.seed}; histories in {asked.folder}", file=sys.stderr)
    print(heading())
    kept = True
    for fault in FAULTS:
        if asked.only not in fault.name:
            continue
        folder = asked.folder / fault.name.replace(" ", "-").replace(",", "")
        folder.mkdir(parents=True)
        began = time.monotonic()
        runs = asked.runs or max(1, round(fault.runs * asked.share))
        result = asyncio.run(perform(fault, runs, asked.seed, folder))
        print(*rows(result), sep="\n", flush=True)
        print(f"{fault.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        wrong = [*result.complaints, *(f"{name} took too long" for name in result.late)]
        for complaint in wrong:
            print(f"  {complaint}", file=sys.stderr)
        kept = kept and not wrong
    return not kept


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="play a former run again")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--runs", type=int, default=0, help="runs of each fault, instead of those of the table")
    parser.add_argument("--share", type=float, default=1.0, help="share of the table's runs, e.g. 0.1")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp(prefix="chaos-")), help="for histories")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
