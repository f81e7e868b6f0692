"""Text and numbers as a terminal may show them."""

import re
from datetime import UTC, datetime, timedelta

# Control sequences (CSI), strings (OSC and its kin), other escapes, and what is left of C0 and C1 but for \n and \t.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(text: str) -> str:
    """`text` without anything that a terminal would obey. A model's words must not move cursors or set titles."""
    return _ESCAPES.sub("", text)


def span(length: timedelta) -> str:
    """A length of time in its largest fitting unit: "0.4 s", "71 s", "12 min", "5.5 h", "3 d"."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} d"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago that was; a hyphen for never."""
    if moment is None:
        return "-"
    return f"{span((now or datetime.now(UTC)) - moment)} ago"


def left(moment: datetime, now: datetime | None = None) -> str:
    """How long until then."""
    return span(moment - (now or datetime.now(UTC)))


def clock(moment: datetime | None) -> str:
    """The time of day where the reader is; a question mark for never."""
    return moment.astimezone().strftime("%H:%M:%S") if moment else "?"


def tail(text: str, width: int) -> str:
    """The end of `text` as one line of at most `width` characters."""
    line = " ".join(printable(text[-4 * width :]).split())
    return line if len(line) <= width else f"…{line[len(line) - width + 1 :]}"
