"""What has to be there before a server listens where others than this machine reach it."""

import structlog

from devteam.mesh.address import is_loopback
from devteam.mesh.clock import Clock

_log = structlog.get_logger()

# Seconds between two reminders.
_EVERY = 60.0


def lacking(host: str, *, tls: bool, asks: bool) -> str:
    """What a server at `host` lacks to be safe there, in words; empty: nothing.

    `asks`: it asks callers who they are, for a key or a certificate.
    """
    if is_loopback(host):
        return ""
    missing = [*([] if tls else ["TLS"]), *([] if asks else ["API keys or client certificates"])]
    return " and ".join(missing)


async def remind(host: str, missing: str, clock: Clock) -> None:
    """Log at once and every minute that a server at `host` goes without what is `missing`; if nothing is, never."""
    while missing:
        _log.warning("listening without protection", host=host, missing=missing)
        await clock.sleep(_EVERY)
