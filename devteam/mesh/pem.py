"""What stands in a process's PEM files: read whole, and read again once they have changed."""

import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from devteam.mesh.errors import FailedPrecondition
from devteam.mesh.tls import TlsFiles

# Others may do nothing with a key, and its group may read it: 0600 or 0640, and what is narrower.
_TOO_OPEN = 0o037
_Stamp = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class Pems:
    """The content of TlsFiles."""

    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    ca: bytes | None = None


class PemFiles:
    """Reads the files of a process. `check` raises FailedPrecondition for what it does not want to use.

    `renewed` may be called from any thread, and is cheap: the files are read only when they have changed.
    """

    def __init__(self, files: TlsFiles, check: Callable[[Pems], None] = lambda _: None) -> None:
        self._files = files
        self._check = check
        self._seen: _Stamp | None = None
        self._complained = False
        self._lock = Lock()

    def read(self) -> Pems:
        """What stands in them. Raises FailedPrecondition when something is missing or does not belong together."""
        stamp = self._stamp()
        pems = _read(self._files)
        self._check(pems)
        if self._stamp() != stamp:
            raise _wrong("the certificate files are being written; try again")
        self._seen = stamp
        return pems

    def renewed(self) -> Pems | None:
        """What stands in them if it is new and whole; None: go on with what there was. Never raises.

        Files that are not whole are complained of once, until they are.
        """
        with self._lock:
            stamp = self._stamp()
            if stamp == self._seen:
                return None
            try:
                pems = self.read()
            except FailedPrecondition as error:
                self._complain(error.message)
                # Files that changed while they were read have to be looked at again.
                self._seen = stamp if self._stamp() == stamp else None
                return None
            self._complained = False
            log = _logger()
            log.info("certificates renewed", cert=_name(self._files.cert), ca=_name(self._files.ca))
            return pems

    def _complain(self, why: str) -> None:
        if not self._complained:
            log = _logger()
            log.warning("new certificate files cannot be used: the ones before are kept", why=why)
        self._complained = True

    def _stamp(self) -> _Stamp:
        return tuple(_stamp_of(file) for file in (self._files.cert, self._files.key, self._files.ca))


def _logger() -> Any:
    # Every client stands on this module, few ever have a line to write, and structlog takes as long as all the rest.
    import structlog

    return structlog.get_logger()


def _read(files: TlsFiles) -> Pems:
    if (files.cert is None) != (files.key is None):
        raise _wrong("a certificate and its key go together: name both files, or none")
    cert = _content(files.cert, "certificate")
    key = _content(files.key, "key")
    ca = _content(files.ca, "authority")
    if files.cert and files.key:
        _refuse_open(files.key)
        _refuse_strangers(files.cert, files.key)
    if files.ca:
        _refuse_none(files.ca)
    return Pems(cert, key, ca)


def _content(file: Path | None, what: str) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise _wrong(f"the {what} file {file} cannot be read: {(error.strerror or 'unknown').lower()}") from None


def _refuse_open(key: Path) -> None:
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError:
        raise _wrong(f"the key file {key} cannot be read") from None
    # Windows has no such bits.
    if mode & _TOO_OPEN and os.name == "posix":
        raise _wrong(f"the key file {key} is open to others (mode {mode:04o}): chmod 600 {key}, or 640 for its group")


def _refuse_strangers(cert: Path, key: Path) -> None:
    try:
        # A key with a password would ask for it at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(f"the key in {key} is not the one of the certificate in {cert}") from None
        raise _wrong(f"{cert} and {key} do not hold a certificate and its key in PEM, without a password") from None
    except OSError as error:
        raise _wrong(f"{cert} or {key} cannot be read: {(error.strerror or 'unknown').lower()}") from None


def _refuse_none(ca: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError:
        raise _wrong(f"the authority file {ca} holds no certificate in PEM") from None


def _stamp_of(file: Path | None) -> tuple[int, ...] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _wrong(message: str) -> FailedPrecondition:
    return FailedPrecondition(message, reason="TLS_FILES")
