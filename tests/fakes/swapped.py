"""A file that somebody puts in place of another, between a look at that and the reading of it."""

import os
from pathlib import PosixPath


class Swapped(PosixPath):
    """Whoever looks at it by its name sees one that is its owner's alone."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(follow_symlinks=follow_symlinks)
        return os.stat_result((0o100600, *found[1:]))
