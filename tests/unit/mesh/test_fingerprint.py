"""Fingerprints of certificates, as people copy them."""

import pytest

from devteam.mesh.errors import InvalidInput
from devteam.mesh.fingerprint import digest_of, fingerprint_of, read_fingerprint

DER = b"not checked to be a certificate"
PEM = "-----BEGIN CERTIFICATE-----\nbm90IGNoZWNrZWQgdG8gYmUgYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n"


def test_what_is_shown_is_read_again() -> None:
    """Of a file with several, the first counts; what stands before it does not."""
    shown = fingerprint_of(f"a word before\n{PEM}{PEM.replace('bm90', 'AAAA')}")
    assert shown.startswith("SHA256:")
    assert read_fingerprint("--ca-fingerprint", shown) == digest_of(DER)


def test_as_openssl_writes_it() -> None:
    digest = digest_of(DER)
    colons = ":".join(f"{byte:02X}" for byte in digest)
    for text in (colons, digest.hex(), f"sha256:{digest.hex()}", f"SHA256:{colons}"):
        assert read_fingerprint("--ca-fingerprint", text) == digest


@pytest.mark.parametrize("text", ["", "SHA256:", "SHA256:abc", "abc:def", "MD5:00", "SHA256:" + "é" * 43])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_fingerprint("--ca-fingerprint", text)
    assert [violation.field for violation in refused.value.violations] == ["--ca-fingerprint"]
