"""What a page tells its reader to do, done: every command and every program, in order, against a mesh that runs."""

from collections.abc import Callable

import pytest

from tests.docs.blocks import Block, all_blocks
from tests.docs.visit import Visit, missing_tools

pytestmark = pytest.mark.e2e

PROGRAMS = frozenset({"sh", "console", "python"})
# A file that a later command reads stands among them, whatever its language.
DONE = [block for block in all_blocks() if not block.excused and (block.language in PROGRAMS or block.note("file"))]


@pytest.mark.parametrize("block", DONE, ids=lambda block: block.place)
def test_the_page_tells_what_works(block: Block, visit: Callable[[str], Visit]) -> None:
    reader = visit(block.page)
    if missing := missing_tools(block, reader.env["PATH"]):
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    if block.note("file"):
        reader.write(block)
    elif block.language == "python":
        reader.python(block)
    else:
        reader.shell(block)
