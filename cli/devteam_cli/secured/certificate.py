"""The certificate of a secured mesh: made once, and renewed long before it ends."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError
from devteam_cli.certs.authority import Subject
from devteam_cli.certs.folder import AUTHORITY, SERVER, CertFolder

_log = structlog.get_logger()

_LIFE = timedelta(days=90)
_EARLY = timedelta(days=30)
# Seconds between two looks at how long it still holds.
_LOOK = 6 * 3600.0


class ServerCertificate:
    """One in a folder, for this machine and `hosts`, with the authority that signs it."""

    def __init__(self, folder: Path, hosts: Sequence[str], clock: Clock) -> None:
        self._folder = folder
        self._hosts = hosts
        self._clock = clock

    def ensure(self) -> bool:
        """Make it if there is none; renew it if it ends within 30 days, lacks one of the hosts, or has another key.

        True: it is new.

        Names that it had, it keeps. Raises DevTeamError when the folder cannot be used.
        """
        certs = CertFolder(self._folder, self._clock.now())
        if not certs.cert(AUTHORITY).exists():
            certs.found(self._hosts, _LIFE)
            return True
        if not certs.cert(SERVER).exists():
            certs.serve(self._hosts, _LIFE)
            return True
        known = certs.known(SERVER)
        if not certs.fits(SERVER):
            certs.renew(SERVER, _LIFE)
            return True
        hosts = tuple(dict.fromkeys((*known.hosts, *self._hosts)))
        if known.until - self._clock.now() > _EARLY and len(hosts) == len(known.hosts):
            return False
        certs.issue(SERVER, Subject(known.name, hosts, known.uris), _LIFE)
        return True

    async def keep(self) -> None:
        """Renew it in time, for ever. Whoever serves it looks at its files by itself."""
        while True:
            await self._clock.sleep(_LOOK)
            try:
                if await asyncio.to_thread(self.ensure):
                    _log.info("certificate renewed", folder=str(self._folder))
            except (DevTeamError, OSError) as error:
                _log.warning("the certificate cannot be renewed", folder=str(self._folder), error=str(error))
