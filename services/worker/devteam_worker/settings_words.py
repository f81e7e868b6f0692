"""What single values of a worker file may be."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from devteam.mesh.address import target_of
from devteam.mesh.errors import InvalidInput
from devteam.mesh.validation import NAME_PATTERN

_DAY_MS = 86_400_000
NAME_LENGTH = 128
# As Go writes them, which is what Ollama reads.
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ms|s|m|h))+")


def _address(value: str) -> str:
    # It is shown and logged everywhere; and nobody would look at a password there.
    if "@" in value and not value.startswith("unix"):
        raise ValueError("must not hold a user or a password; set DEVTEAM_API_KEY instead")
    try:
        target_of(value)
    except InvalidInput as error:
        raise ValueError(error.violations[0].message) from None
    return value


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be of the form http://host:port")
    return value


def web_url_to_be(value: str) -> str:
    """A URL, or one that a variable will make whole."""
    # What a variable stands for is looked at once it is known.
    return value if "${" in value else _web_url(value)


def host_and_port(value: str) -> str:
    """A host, perhaps with a scheme and a port."""
    try:
        _ = urlsplit(value if "://" in value else f"//{value}").port
    except ValueError:
        raise ValueError("must be of the form host:port") from None
    return value


def duration(value: object) -> object:
    """Seconds, or a time as Ollama reads it."""
    seconds = isinstance(value, int) and not isinstance(value, bool)
    if value is None or seconds or (isinstance(value, str) and _DURATION.fullmatch(value)):
        return value
    raise ValueError("must be a time like 30m or 1h30m, or a number of seconds")


def _name(value: str) -> str:
    if len(value) > NAME_LENGTH or not NAME_PATTERN.fullmatch(value):
        raise ValueError(f"must be 1 to {NAME_LENGTH} characters of A-Z a-z 0-9 . _ -")
    return value


def named_folder(value: object) -> object:
    """A folder that has a name."""
    # It would be the one that the worker was started in.
    if value == "":
        raise ValueError("must name a folder")
    return value


def at_home(path: Path) -> Path:
    """A path with ~ filled in."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins in a home folder that cannot be found") from None


def named(value: object) -> object:
    """A name alone, or the mapping that it stands for."""
    return {"name": value} if isinstance(value, str) else value


def upper(value: object) -> object:
    """In capitals."""
    return value.upper() if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_name)]
Slots = Annotated[int, Field(ge=0, le=10_000)]
Milliseconds = Annotated[int, Field(ge=1, le=_DAY_MS)]
Address = Annotated[str, AfterValidator(_address)]
HomePath = Annotated[Path, AfterValidator(at_home)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
