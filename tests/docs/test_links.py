"""Links between pages lead somewhere: to a file that is there, and to a heading that it has."""

import re
import subprocess
import sys
from functools import cache

import pytest

from tests.docs.blocks import folder_of, pages, text_of
from tests.e2e.programs import REPOSITORY

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    links = [link for link in _LINK.findall(_CODE.sub("", text_of(page))) if "://" not in link]
    assert [link for link in links if not _is_there(page, link)] == []


def _is_there(page: str, link: str) -> bool:
    target, _, heading = link.partition("#")
    file = (folder_of(page) / target).resolve() if target else REPOSITORY / page
    return file.exists() and (not heading or heading in _headings(file.read_text(encoding="utf-8")))


@cache
def _headings(text: str) -> frozenset[str]:
    """Headings as GitHub names them in links."""
    titles = re.findall(r"^#+ +(.+?)\s*$", _CODE.sub("", text), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


def test_the_pictures_are_what_their_script_draws() -> None:
    drawn = subprocess.run(
        (sys.executable, str(REPOSITORY / "scripts" / "draw.py"), "--check"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")
