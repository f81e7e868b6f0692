"""What is wrong with a request, as much of it as an answer can carry."""

from collections.abc import Collection
from difflib import get_close_matches

from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.validation import Violations

# A status travels in HTTP/2 trailers, where 8 KiB are safe; every sentence is in it three times.
_MAX_TEXT = 2000
_MAX_NAME = 64


class Findings(Violations):
    """Violations that refuse the request as soon as there are more of them than fit into a status."""

    def __init__(self) -> None:
        super().__init__()
        self._text = 0

    def add(self, field: str, reason: str, message: str) -> None:
        """Note one violation. Raises InvalidInput once there is no room for more."""
        super().add(field, reason, message)
        self._text += len(self.items[-1].field.encode()) + len(reason) + len(message.encode())
        if self._text > _MAX_TEXT:
            raise InvalidInput(*self.items[:-1], Violation("", "TOO_MANY", "there is more; correct these first"))

    def characters(self, field: str, value: str, *, limit: int) -> None:
        """Required text of at most `limit` characters."""
        self.text(field, value, limit=4 * limit, required=True)
        if limit < len(value) <= len(value.encode()) <= 4 * limit:
            self.add(field, "TEXT_TOO_LARGE", f"has {len(value)} characters; at most {limit} are allowed")


def quoted(name: str) -> str:
    """A name that a caller made up, in quotes and no longer than a sentence can bear."""
    return repr(name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "...")


def suggestion(name: str, known: Collection[str]) -> str:
    """The end of a sentence that offers the known name most like `name`, or nothing."""
    similar = get_close_matches(name[:_MAX_NAME], known, n=1)
    return f"; did you mean {similar[0]!r}?" if similar else ""
