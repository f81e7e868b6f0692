"""What a task that waits for a worker costs in memory, part by part. One JSON line a figure.

python -m benchmarks.waiting

Ends with 1 when a part has outgrown its bound.
"""

import sys

from benchmarks.waiting.parts import PARTS


def main() -> None:
    """Measure every part."""
    kept = [part.run() for part in PARTS]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
