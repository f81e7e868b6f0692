"""Page sizes and page tokens."""

import base64
import binascii

from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.validation import LONGEST_NAME, NAME_PATTERN


def page_size(asked: int, *, default: int, limit: int) -> int:
    """The size to use: the default for 0. Raises InvalidInput when out of bounds."""
    if not 0 <= asked <= limit:
        raise InvalidInput(Violation("page_size", "OUT_OF_BOUNDS", f"is {asked}; must be 0 to {limit}"))
    return asked or default


def page_token(last: str) -> str:
    """A token for the page after the item named `last`; empty for an empty name."""
    return base64.urlsafe_b64encode(b"1:" + last.encode()).decode() if last else ""


def page_start(token: str) -> str:
    """The name that the page starts after; empty for the first page.

    Raises InvalidInput for a token that is none, or of what is no name.
    """
    if not token:
        return ""
    try:
        version, _, last = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        version, last = "", ""
    # A name goes into queries: what can be none of ours would be a question that no database understands.
    if version != "1" or len(last) > LONGEST_NAME or not NAME_PATTERN.fullmatch(last):
        raise InvalidInput(Violation("page_token", "PAGE_TOKEN_INVALID", "is not a token that this service gave"))
    return last
