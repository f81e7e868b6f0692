"""A folder of certificates: NAME.pem and NAME.key for each, and the authority that signed them."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from devteam.mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from devteam_cli.certs.authority import SKEW, Authority, Issued, Subject, is_key_of
from devteam_cli.certs.facts import Facts, facts

AUTHORITY, SERVER = "ca", "server"
_AUTHORITY_LIFE = timedelta(days=3650)
_HOSTS_HERE = ("localhost", "127.0.0.1", "::1")


class CertFolder:
    """Makes certificates and renews them. Only its owner can read the keys, and the folder."""

    def __init__(self, path: Path, now: datetime) -> None:
        self.path = path
        self._now = now

    def found(self, hosts: Sequence[str], life: timedelta, *, within: Sequence[str] = ()) -> Facts:
        """Make an authority, and a certificate for a server on this machine and at `hosts`.

        Raises AlreadyExists where there is an authority: whoever trusts it would trust nothing any more.
        """
        # A key with nothing beside it broke off before anybody saw its certificate.
        if self.cert(AUTHORITY).exists() or (self.key(AUTHORITY).exists() and any(self.files())):
            raise AlreadyExists(
                f"{self.path} holds an authority already: `devteam certs renew` renews what it signed; name another "
                "folder to begin anew",
                reason="AUTHORITY_EXISTS",
            )
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = Authority.new("DevTeam private authority", self._now, _AUTHORITY_LIFE, within=within)
        self._keep(AUTHORITY, authority.kept)
        return self.serve(hosts, life)

    def serve(self, hosts: Sequence[str], life: timedelta) -> Facts:
        """Make or replace the certificate of a server on this machine and at `hosts`. Raises NotFound."""
        return self.issue(SERVER, Subject("DevTeam mesh", (*_HOSTS_HERE, *hosts)), life)

    def issue(self, file: str, subject: Subject, life: timedelta) -> Facts:
        """Make or replace the certificate and the key called `file`. Raises NotFound without an authority."""
        authority = self._authority()
        issued = authority.issue(subject, self._now, life)
        # Whoever knows the authority by its fingerprint alone gets it from the server.
        chain = issued.cert + authority.kept.cert if subject.hosts else issued.cert
        self._keep(file, Issued(chain, issued.key))
        return facts(issued.cert)

    def renew(self, file: str, life: timedelta | None) -> Facts:
        """Replace a certificate and its key by new ones for the same names; `life` None: as long as the old one's.

        Raises NotFound.
        """
        known = self.known(file)
        lasts = known.until - known.since - SKEW if life is None else life
        return self.issue(file, Subject(known.name, known.hosts, known.uris), lasts)

    def known(self, file: str) -> Facts:
        """What the certificate called `file` says. Raises NotFound, and FailedPrecondition when it is none."""
        try:
            return facts(self.cert(file).read_bytes())
        except FileNotFoundError:
            raise NotFound("certificate", file, message=f"there is no {self.cert(file)}") from None
        except (OSError, ValueError):
            raise FailedPrecondition(f"{self.cert(file)} cannot be read as a certificate") from None

    def fits(self, file: str) -> bool:
        """Whether the key called `file` is its certificate's: of both, the key is replaced first."""
        try:
            return is_key_of(self.cert(file).read_bytes(), self.key(file).read_bytes())
        except (OSError, ValueError, TypeError):
            return False

    def files(self) -> Iterator[str]:
        """What there is, the authority first."""
        names = sorted(file.stem for file in self.path.glob("*.pem"))
        yield from sorted(names, key=lambda name: (name != AUTHORITY, name != SERVER))

    def cert(self, file: str) -> Path:
        """Where the certificate called `file` lies."""
        return self.path / f"{file}.pem"

    def key(self, file: str) -> Path:
        """Where its key lies."""
        return self.path / f"{file}.key"

    def _authority(self) -> Authority:
        try:
            return Authority.of(Issued(self.cert(AUTHORITY).read_bytes(), self.key(AUTHORITY).read_bytes()))
        except FileNotFoundError:
            message = f"there is no authority in {self.path}: make one with `devteam certs init {self.path}`"
            raise NotFound("authority", str(self.path), message=message) from None
        except (OSError, ValueError, TypeError):
            raise FailedPrecondition(f"the authority in {self.path} cannot be read") from None

    def _keep(self, file: str, issued: Issued) -> None:
        # Whoever reads between the two sees a key that is not the certificate's, and waits: see `mesh.pem`.
        _replace(self.key(file), issued.key, 0o600)
        _replace(self.cert(file), issued.cert, 0o644)


def _replace(file: Path, content: bytes, mode: int) -> None:
    """At once: nobody ever sees half of it."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)
    beside.replace(file)
