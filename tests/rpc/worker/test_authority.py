"""An authority that is taken from the mesh: only the one whose fingerprint was told, and before anything is said."""

import ssl
from pathlib import Path

import pytest
from devteam_cli.ports import free_port
from devteam_worker import authority

from devteam.mesh.errors import InvalidInput, PermissionDenied, Unavailable
from devteam.mesh.fingerprint import digest_of, fingerprint_of
from tests.fakes.certificates import Certificates, tls_server


@pytest.fixture
def certs(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certs")


def pem_of(certs: Certificates) -> str:
    return certs.folder.cert("ca").read_text()


async def test_what_the_mesh_shows_above_its_own_is_kept(certs: Certificates, tmp_path: Path) -> None:
    async with tls_server(certs.folder.cert("server"), certs.folder.key("server")) as url:
        pem = await authority.fetched(url, fingerprint_of(pem_of(certs)))
    assert authority.keep(tmp_path, pem).read_text() == pem_of(certs)


async def test_the_meshs_own_certificate_is_no_authority(certs: Certificates) -> None:
    """Whoever gives its fingerprint meant something else."""
    own = fingerprint_of(certs.folder.cert("server").read_text())
    async with tls_server(certs.folder.cert("server"), certs.folder.key("server")) as url:
        with pytest.raises(PermissionDenied, match="nothing was said to it"):
            await authority.fetched(url, own)


async def test_another_mesh_is_left_alone(certs: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "others")
    async with tls_server(other.folder.cert("server"), other.folder.key("server")) as url:
        with pytest.raises(PermissionDenied, match="somebody may stand between"):
            await authority.fetched(url, fingerprint_of(pem_of(certs)))


async def test_a_mesh_that_shows_no_authority_needs_the_file(certs: Certificates) -> None:
    cert = certs.folder.cert("server")
    cert.write_text(cert.read_text().partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER + "\n")
    async with tls_server(cert, certs.folder.key("server")) as url:
        with pytest.raises(PermissionDenied, match="shows no authority with this fingerprint"):
            await authority.fetched(url, fingerprint_of(pem_of(certs)))


async def test_who_only_shows_the_right_authority_is_not_believed(certs: Certificates, tmp_path: Path) -> None:
    """Its certificate is public: what counts is the connection that it vouches for, which comes before the token."""
    between = Certificates(tmp_path / "others")
    cert = between.folder.cert("server")
    cert.write_text(cert.read_text().partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER + "\n" + pem_of(certs))
    async with tls_server(cert, between.folder.key("server")) as url:
        kept = authority.keep(tmp_path, await authority.fetched(url, fingerprint_of(pem_of(certs))))
        context = ssl.create_default_context(cafile=kept)
        with pytest.raises(ssl.SSLCertVerificationError):
            await _dial(url, context)


async def _dial(url: str, context: ssl.SSLContext) -> None:
    from devteam.mesh.reach import connected

    async with connected(url, 10.0, context):
        pass


async def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="cannot be reached, or does not speak TLS"):
        await authority.fetched(f"https://127.0.0.1:{free_port()}", f"SHA256:{digest_of(b'').hex()}")


async def test_without_tls_there_is_nothing_to_compare() -> None:
    with pytest.raises(InvalidInput, match="say https://"):
        await authority.fetched("http://127.0.0.1:7400", f"SHA256:{digest_of(b'').hex()}")
